//! Every page of a small simulated city with articles: both languages, sizes, words, two axes of
//! time, and texts that try to be more than text.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use miyun_core::Date;
use miyun_import::{Declared, Layout};
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;
use miyun_store::{ArticleId, ArticleQuery, Store};
use miyun_web::server::{Site, router};
use tower::ServiceExt;

const FIRST: Date = Date::constant(2026, 6, 1);
const DAYS: usize = 130;

struct Ready {
    _dir: tempfile::TempDir,
    router: Router,
    store: Store,
    articles: Vec<ArticleId>,
}

fn import(lake: &mut Lake, name: &str, text: &str, at: &str) {
    let book = Rulebook::embedded();
    let declared = Declared {
        interval: Some(miyun_core::IntervalLabel::HourBegin),
        subject_prefix: "linxi/".into(),
        ..Declared::default()
    };
    let words = miyun_assess::words(book);
    let parsed =
        miyun_import::read_csv(name, text.as_bytes(), Layout::Long, &declared, &words).unwrap();
    let file = ImportFile {
        name: name.into(),
        digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        declared: "hour-begin, UTC+8".into(),
        reviewed: false,
        parsed,
    };
    lake.import(
        vec![file],
        miyun_sim::subjects(),
        &|i| miyun_assess::medium(book, i),
        at,
    )
    .unwrap();
}

async fn ready() -> Ready {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    let city = miyun_sim::city(3, FIRST, DAYS);
    import(&mut lake, "linxi.csv", &city.csv(), "2026-10-09T00:00:00Z");
    let mut fix = String::from("station,indicator,time,value,unit,flag\n");
    for h in 0..24 {
        fix.push_str(&format!(
            "hedong,PM2.5,2026-09-01T{h:02}:00+08:00,11.0,ug/m3,\n"
        ));
    }
    import(&mut lake, "fix.csv", &fix, "2026-10-11T00:00:00Z");
    let store = Store::memory().await.unwrap();
    let at = "2026-10-12T00:00:00Z".parse().unwrap();
    miyun_web::articles::demo::fill(&store, at).await.unwrap();
    let q = ArticleQuery {
        page: 1,
        per_page: 10,
        ..ArticleQuery::default()
    };
    let found = store.find_articles(&q).await.unwrap();
    let articles = found.hits.iter().map(|h| h.article.id.clone()).collect();
    let book = Rulebook::embedded();
    let plans = miyun_plan::embedded(book.vocabulary())
        .into_iter()
        .filter(|p| p.simulated)
        .collect();
    let site = Site::new(lake, book, plans, Date::constant(2026, 10, 12)).with_store(store.clone());
    Ready {
        _dir: dir,
        router: router(Arc::new(site)),
        store,
        articles,
    }
}

async fn get(r: &Router, path: &str, encoding: &str) -> (StatusCode, Vec<u8>, String) {
    let request = Request::get(path)
        .header(header::HOST, "miyun.test")
        .header(header::ACCEPT_ENCODING, encoding)
        .body(Body::empty())
        .unwrap();
    let response = r.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map_or(String::new(), |v| v.to_str().unwrap().to_owned());
    let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
    (status, bytes.to_vec(), kind)
}

async fn text(r: &Router, path: &str) -> (StatusCode, String) {
    let (s, b, _) = get(r, path, "identity").await;
    (s, String::from_utf8(b).unwrap())
}

/// The numbers of a page: figures with their values, in order.
fn figures(html: &str) -> Vec<(String, String)> {
    html.split("data-figure=\"")
        .skip(1)
        .filter_map(|p| {
            let id = p.split('"').next()?;
            let value = p.split("<data value=\"").nth(1)?.split('"').next()?;
            Some((id.to_owned(), value.to_owned()))
        })
        .collect()
}

/// What stands between two marks of a page, without its tags.
fn words(html: &str, from: &str, to: &str) -> String {
    let inside = html.split(from).nth(1).unwrap_or("");
    let inside = inside.split(to).next().unwrap_or("");
    let mut out = String::new();
    let mut tag = false;
    for c in inside.chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => out.push(c),
            _ => {}
        }
    }
    out
}

/// The list, its feeds and an article as known at a moment; what was withdrawn since stays away.
#[tokio::test(flavor = "multi_thread")]
async fn articles_are_as_known_then() {
    let site = ready().await;
    let hits = |html: &str| html.matches("<h2><a href=\"/zh/articles/").count();
    for (then, n) in [
        ("2026-01-08", 0),
        ("2026-01-10", 1),
        ("2026-03-05", 2),
        ("2026-11-30", 3),
    ] {
        let (s, list) = text(&site.router, &format!("/zh/articles?known={then}")).await;
        assert_eq!((s, hits(&list)), (StatusCode::OK, n), "{then}");
        let moment = format!("known={then}T23%3A59%3A59Z");
        assert!(
            n == 0 || list.contains(&moment),
            "links carry the moment on"
        );
        for (feed, mark) in [("feed.atom", "</entry>"), ("feed.json", "\"id\":\"urn:")] {
            let path = format!("/zh/articles/{feed}?known={then}");
            let (_, feed) = text(&site.router, &path).await;
            assert_eq!(feed.matches(mark).count(), n, "{path}: {feed}");
        }
    }
    // The plan's target was tightened in March: search and article say what was said then.
    let plan = "%E5%B7%A5%E4%BD%9C%E8%AE%A1%E5%88%92";
    for (then, clauses) in [
        ("2026-02-01", "条中的 11 条"),
        ("2026-04-01", "条中的 15 条"),
    ] {
        let (_, found) = text(&site.router, &format!("/zh/articles?q={plan}&known={then}")).await;
        assert!(found.contains(clauses), "{then}: {found}");
    }
    let (_, list) = text(
        &site.router,
        "/zh/articles?number=%E4%B8%B4%E7%8E%AF%E5%8F%91%E3%80%942026%E3%80%951%20%E5%8F%B7",
    )
    .await;
    let id = list.split("<h2><a href=\"/zh/articles/").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let (_, old) = text(&site.router, &format!("/zh/articles/{id}?known=2026-02-01")).await;
    assert!(old.contains("30.0") && !old.contains("29.0"), "{old}");
    assert!(!old.contains("改了什么"), "no later version is listed");
    let (s, _) = text(&site.router, &format!("/zh/articles/{id}?known=2026-01-01")).await;
    assert_eq!(s, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derivation_is_in_the_readers_language() {
    let ready = ready().await;
    let r = &ready.router;
    let (_, air) = text(r, "/zh/air?year=2026").await;
    let (_, home) = text(r, "/zh/").await;
    let mut ids: Vec<String> = figures(&home)
        .into_iter()
        .chain(figures(&air))
        .map(|f| f.0)
        .take(60)
        .collect();
    ids.extend(
        [
            "linxi:PM2.5:daily-mean:2026-09-01",
            "linxi/hedong:PM2.5:daily-mean:2026-09-01",
            "linxi/hedong:O3:daily-max-8h:2026-09-01",
            "linxi/hedong:CO:daily-mean:2026-09-01",
        ]
        .map(str::to_owned),
    );
    // Names that are the same in both languages.
    let same = ["PM2", "AQI", "UTC", "linxi", "BLAKE3"];
    for id in ids {
        let (status, html) = text(r, &format!("/zh/why/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{id}");
        let chain = words(&html, "<ol class=\"chain\">", "</ol>");
        assert!(!chain.is_empty(), "{id}");
        let declared = words(&html, "<h2 id=\"method\">", "<dt>编号");
        let enough = words(&html, "数据是否足够</dt>", "</dl>");
        for said in [chain, enough, declared.split("声明").skip(2).collect()] {
            let foreign: Vec<&str> = said
                .split(|c: char| !c.is_ascii_alphabetic())
                .filter(|w| w.len() > 2 && !same.iter().any(|s| s.contains(w)))
                .collect();
            assert!(foreign.is_empty(), "{id}: {foreign:?} in {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_in_both_languages() {
    let ready = ready().await;
    let r = &ready.router;
    let plan = ready.articles.last().unwrap();
    let mut paths: Vec<String> = [
        "/",
        "/?show=behind",
        "/plan/linxi-sim/2.1",
        "/plan/linxi-sim/3.4",
        "/map",
        "/map?layer=O3&at=2026-08-01&compare=2026-07-01&sort=district",
        "/air",
        "/air?edition=2012&sort=name",
        "/air/ledger",
        "/air/ledger?indicator=PM10&target=50",
        "/air/station/linxi/yuquan?at=2026-07-07",
        "/why/linxi/hedong:PM2.5:daily-mean:2026-09-01",
        "/rules",
        "/rules/CN/GB-3095-2026",
        "/rules/diff?a=CN/GB-3095-2012&b=CN/GB-3095-2026",
        "/search?q=%E7%AB%99",
        "/data",
        "/about",
        "/glossary",
        "/articles",
        "/articles?q=%E6%89%AC%E5%B0%98&order=date",
        "/articles?topic=air&page=9",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("/articles/{plan}"));
    paths.push(format!("/articles/{plan}/like"));
    for path in paths {
        let mut numbers = Vec::new();
        for lang in ["/zh", "/en"] {
            let (status, html) = text(r, &format!("{lang}{path}")).await;
            assert_eq!(status, StatusCode::OK, "{lang}{path}: {html}");
            assert_eq!(html.matches("<h1").count(), 1, "{lang}{path}");
            // The policy allows no style and no script inside a page.
            assert!(
                !html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"),
                "{lang}{path}"
            );
            assert!(
                html.contains("模拟数据") || html.contains("SIMULATED") || !path.contains("air"),
                "{lang}{path}"
            );
            let (_, packed, _) = get(r, &format!("{lang}{path}"), "br").await;
            assert!(
                packed.len() <= 30 * 1024,
                "{lang}{path}: {} bytes packed",
                packed.len()
            );
            // A table sorted by name has another order in the other language.
            let mut shown = figures(&html);
            shown.sort();
            numbers.push(shown);
        }
        assert_eq!(
            numbers[0], numbers[1],
            "{path}: both languages show the same figures"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_leaves_the_old_value_at_its_address() {
    let ready = ready().await;
    let path = "/en/why/linxi/hedong:PM2.5:daily-mean:2026-09-01";
    let value = |html: &str| {
        let h1 = html.split("<h1").nth(1).unwrap();
        h1.split("<data value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let (_, now) = text(&ready.router, path).await;
    let (_, then) = text(&ready.router, &format!("{path}?known=2026-10-10")).await;
    assert_eq!(value(&now), "11");
    assert_ne!(value(&then), "11");
    assert!(then.contains("2026-10-10T23:59:59Z") && !now.contains("role=\"note\"><time"));
    assert!(
        now.contains(&format!("<data value=\"{}\">", value(&then))),
        "the table shows the old value"
    );
    let (s, _) = text(&ready.router, &format!("{path}?known=soon")).await;
    assert_eq!(s, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so_in_the_language_of_the_reader() {
    let ready = ready().await;
    for (path, status, words) in [
        ("/zh/nowhere", 404, "没有这个页面"),
        ("/en/plan/linxi-sim/9.9", 404, "There is no such page"),
        ("/zh/why/a-0000", 404, "没有这个页面"),
        ("/zh/map?at=never", 400, "这个请求无法理解"),
        ("/en/air?year=1700", 404, "There is no such page"),
        ("/en/air/ledger?target=-1", 400, "cannot be understood"),
        ("/fr/", 404, "There is no such page"),
        (
            "/en/articles/../../etc/passwd",
            404,
            "There is no such page",
        ),
        // To the sign-in.
        ("/en/desk", 303, ""),
        ("/en/desk/articles/new", 303, ""),
        ("/media/00", 404, "no such file"),
    ] {
        let (s, html) = text(&ready.router, path).await;
        assert_eq!(s.as_u16(), status, "{path}");
        assert!(html.contains(words), "{path}: {html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_try_to_be_more_than_text() {
    let ready = ready().await;
    let evil = "<script>alert(1)</script>";
    let query = "%3Cscript%3Ealert(1)%3C/script%3E";
    let at = "2026-10-12T00:00:00Z".parse().unwrap();
    let by = ready
        .store
        .person_by_login("editor")
        .await
        .unwrap()
        .unwrap()
        .id;
    let chief = ready
        .store
        .person_by_login("chief")
        .await
        .unwrap()
        .unwrap()
        .id;
    let old = ready
        .store
        .article(&ready.articles[0])
        .await
        .unwrap()
        .unwrap();
    let mut c = old.current.unwrap().content;
    for t in &mut c.texts {
        t.title = evil.into();
        t.summary = evil.into();
        t.body = format!("{evil} [x](javascript:alert(1)) <img src=x onerror=alert(1)>");
    }
    c.source.zh = evil.into();
    c.document_number = Some(evil.into());
    c.links.clear();
    let (id, _) = ready
        .store
        .save_draft(None, &c, evil, &by, at)
        .await
        .unwrap();
    let (hidden, _) = text(&ready.router, &format!("/en/articles/{id}")).await;
    assert_eq!(hidden, StatusCode::NOT_FOUND, "a draft is not public");
    ready.store.propose_article(&id, &by, at).await.unwrap();
    assert!(
        ready
            .store
            .decide_article(&id, true, "", &by, at)
            .await
            .is_err(),
        "four eyes"
    );
    ready
        .store
        .decide_article(&id, true, "", &chief, at)
        .await
        .unwrap();
    for path in [
        format!("/zh/articles/{id}"),
        "/zh/articles".into(),
        "/zh/articles/feed.atom".into(),
        format!("/zh/articles/{id}/cite/bib"),
        format!("/zh/articles?q={query}"),
        format!("/en/search?q={query}"),
        format!("/en/map?layer={query}"),
        format!("/en/rules/{query}"),
        format!("/en/?plan={query}"),
        format!("/en/air?city={query}"),
    ] {
        let (_, body, kind) = get(&ready.router, &path, "identity").await;
        let body = String::from_utf8(body).unwrap();
        if kind.starts_with("text/html") || kind.contains("xml") {
            assert!(
                !body.contains("<script>alert") && !body.contains("<img src=x"),
                "{path}"
            );
            assert!(!body.contains("href=\"javascript"), "{path}");
        }
    }
    let (_, twice) = text(
        &ready.router,
        "/settings?theme=dark&back=https://evil.example/",
    )
    .await;
    assert!(!twice.contains("evil"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_pages_are_answered_again_without_being_sent() {
    let ready = ready().await;
    let ask = |tag: Option<String>| {
        let mut b = Request::get("/en/about").header(header::HOST, "miyun.test");
        if let Some(t) = tag {
            b = b.header(header::IF_NONE_MATCH, t);
        }
        ready.router.clone().oneshot(b.body(Body::empty()).unwrap())
    };
    let first = ask(None).await.unwrap();
    let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert!(
        first.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let again = ask(Some(tag)).await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let (status, tombs) = text(&ready.router, "/en/articles?q=%E5%BF%AB%E6%8A%A5").await;
    assert!(
        status.is_success() && !tombs.contains("Quick report"),
        "a withdrawn article is not listed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_search_finds_measures_rules_stations_articles_and_terms() {
    let ready = ready().await;
    let found = async |lang: &str, q: &str| {
        let (status, html) = text(&ready.router, &format!("/{lang}/search?q={q}")).await;
        assert_eq!(status, StatusCode::OK);
        html
    };
    // 扬尘: measures and articles.
    let dust = found("zh", "%E6%89%AC%E5%B0%98").await;
    assert!(
        dust.contains("/zh/plan/linxi-sim/") && dust.contains("/zh/articles/"),
        "{dust}"
    );
    assert!(dust.contains("<mark>扬尘</mark>"), "{dust}");
    // The words of a sentence nobody wrote: 颗粒物 细 站点 stand apart in the texts.
    let words = found("zh", "%E5%9F%8E%E5%B8%82%E7%A9%BA%E6%B0%94").await;
    assert!(words.contains("href=\"/zh/"), "{words}");
    // A station by its name in either language, a rule by its number with and without dashes.
    assert!(
        found("zh", "Hedong")
            .await
            .contains("/zh/air/station/linxi/hedong")
    );
    for q in ["GB-3095", "gb%203095", "3095-2026"] {
        assert!(
            found("en", q).await.contains("/en/rules/CN/GB-3095-2026"),
            "{q}"
        );
    }
    // A document number opens its document: 〔2026〕
    let number = found(
        "en",
        "%E4%B8%B4%E7%8E%AF%E5%8F%91%E3%80%942026%E3%80%951%20%E5%8F%B7",
    )
    .await;
    assert!(number.contains("/en/articles/"), "{number}");
    let nothing = found("en", "zzzzqqq").await;
    assert!(nothing.contains("Nothing among measures"), "{nothing}");
    for bad in ["%25", "_", "%27%20OR%201%3D1", "%E3%80%94"] {
        found("en", bad).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn derivations_are_read_in_chinese() {
    let ready = ready().await;
    let (_, air) = text(&ready.router, "/zh/air").await;
    let mut whys: Vec<&str> = air
        .split('"')
        .filter(|l| l.starts_with("/zh/why/"))
        .collect();
    whys.sort_unstable();
    whys.dedup();
    assert!(whys.len() > 10, "{whys:?}");
    let day = "/zh/why/linxi/hedong:PM2.5:daily-mean:2026-09-01";
    let city = "/zh/why/linxi:O3:daily-max-8h:2026-07-01";
    for path in whys.iter().take(40).copied().chain([day, city]) {
        let (status, html) = text(&ready.router, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let (_, chain) = html.split_once("<ol class=\"chain\">").unwrap();
        let chain = chain.split("</ol>").next().unwrap();
        let words: String = chain
            .split(['<', '>'])
            .step_by(2)
            .collect::<Vec<_>>()
            .join(" ");
        let english = words
            .split(|c: char| !c.is_ascii_lowercase())
            .find(|w| w.len() > 3);
        assert_eq!(english, None, "{path}: {words}");
        assert!(html.contains("位小数") || html.contains("天数"), "{path}");
    }
    let (_, html) = text(&ready.router, day).await;
    assert!(
        html.contains("个小时的平均") && html.contains("四舍六入五成双"),
        "{html}"
    );
    let (_, html) = text(&ready.router, &day.replace("/zh/", "/en/")).await;
    assert!(html.contains("rounded half-even"), "{html}");
}
