//! The list of articles: search, facets, pages, and the same list as feeds.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use miyun_core::Text;
use miyun_core::text::Lang;
use miyun_store::{Article, ArticleQuery, Facet, Hit, Order, Store, StoreError};

use crate::articles::feed::{Entry, Feed, atom, json};
use crate::articles::when;
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::{View, tag};
use crate::site::Site;

/// Articles on a page.
const PER_PAGE: u32 = 20;

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound { .. } => Self::NotFound(e.to_string()),
            StoreError::FourEyes(_) => Self::Forbidden(e.to_string()),
            StoreError::Conflict(_) | StoreError::Content(_) => Self::Bad(e.to_string()),
            // What the database says is for the log, not for readers.
            _ => Self::Broken("the records could not be read".into()),
        }
    }
}

/// The records, or why there are no articles.
pub(super) fn store(site: &Site) -> Result<&Store, Failure> {
    site.store()
        .ok_or_else(|| Failure::NotFound("this installation keeps no articles".into()))
}

/// The name of a region code.
pub(super) fn region(site: &Site, lang: Lang, code: &str) -> String {
    if code == "CN" {
        return crate::shell::tr(lang, "全国", "China").to_owned();
    }
    let cities = site.lake().subjects();
    if let Some(c) = cities
        .iter()
        .find(|s| s.part_of.is_none() && s.jurisdiction.as_str() == code)
    {
        return c.name.get(lang).to_owned();
    }
    let last = code.rsplit('/').next().unwrap_or(code);
    ["beijing", "linxi"]
        .iter()
        .flat_map(|c| crate::geo::tiles(c))
        .find(|t| {
            t.code == code
                || (t.code.len() == 6 && t.code.ends_with(last) && code.matches('/').count() == 2)
        })
        .map_or(code.to_owned(), |t| t.name.get(lang).to_owned())
}

/// The name of a topic.
pub(super) fn topic(lang: Lang, id: &str) -> String {
    let (zh, en) = match id {
        "air" => ("空气", "air"),
        "water" => ("水", "water"),
        "soil" => ("土壤", "soil"),
        "noise" => ("噪声", "noise"),
        "waste" => ("固体废物", "waste"),
        "radiation" => ("辐射", "radiation"),
        "carbon" => ("碳", "carbon"),
        "nature" => ("生态", "nature"),
        "risk" => ("风险", "risk"),
        "governance" => ("治理", "governance"),
        "plan" => ("计划", "plan"),
        other => (other, other),
    };
    crate::shell::tr(lang, zh, en).to_owned()
}

/// The name of a legal status.
pub(super) fn status(lang: Lang, id: &str) -> String {
    let (zh, en) = match id {
        "notice" => ("消息", "notice"),
        "draft" => ("征求意见", "for comment"),
        "in-force" => ("有效", "in force"),
        "amended" => ("已修改", "amended"),
        "repealed" => ("已废止", "repealed"),
        other => (other, other),
    };
    crate::shell::tr(lang, zh, en).to_owned()
}

/// The query that an address asks for.
fn query(view: &View, q: &Params) -> Result<ArticleQuery, Failure> {
    let text = |k: &str| {
        q.get(k)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    let bad = |k: &str, e: String| Failure::Bad(format!("{k}: {e}"));
    let day = |k: &str| {
        text(k)
            .map(|v| {
                v.parse::<miyun_core::Date>()
                    .map_err(|_| bad(k, format!("{v:?} is no day")))
            })
            .transpose()
    };
    Ok(ArticleQuery {
        lang: None,
        region: text("region"),
        topic: text("topic"),
        source: text("source"),
        publisher: text("publisher"),
        status: text("status")
            .map(|v| {
                v.parse::<miyun_store::LegalStatus>()
                    .map_err(|e| bad("status", e))
            })
            .transpose()?,
        year: text("year")
            .map(|v| {
                v.parse::<i16>()
                    .map_err(|_| bad("year", format!("{v:?} is no year")))
            })
            .transpose()?,
        // Who writes a document number into the box wants that document.
        number: text("number").or_else(|| text("q").filter(|t| t.contains('〔'))),
        from: day("from")?,
        until: day("until")?,
        measure: text("measure")
            .map(|v| {
                v.parse::<miyun_core::MeasureId>()
                    .map_err(|e| bad("measure", e.to_string()))
            })
            .transpose()?,
        known: view.known_at(),
        order: match q.get("order").map(String::as_str) {
            Some("date") => Order::Date,
            _ if text("q").is_some() => Order::Relevance,
            _ => Order::Date,
        },
        page: text("page")
            .map(|v| {
                v.parse::<u32>()
                    .map_err(|_| bad("page", format!("{v:?} is no number")))
            })
            .transpose()?
            .unwrap_or(1)
            .clamp(1, 5_000),
        per_page: PER_PAGE,
        text: text("q").filter(|t| !t.contains('〔')),
    })
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    view: View,
    Query(q): Query<Params>,
) -> Response {
    let made = list_page(&site, &view, &q).await;
    super::finish(&view, made)
}

async fn list_page(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let asked = query(view, q)?;
    let page = store(site)?.find_articles(&asked).await?;
    let now = Timestamp::now();
    let words = asked.text.clone().unwrap_or_default();
    let title = view.tr("文章与政策", "Articles and policies");
    let last = page.total.div_ceil(u64::from(PER_PAGE)).max(1);
    let body = html! {
        h1 { (title) }
        form.inline method="get" role="search" aria-label=(view.tr("在文章中搜索", "Search the articles")) {
            label { (view.tr("全文", "Full text")) " " input type="search" name="q" value=(words) maxlength="200"; }
            label { (view.tr("文号", "Number")) " " input name="number" size="14" value=(asked.number.as_deref().unwrap_or("")); }
            label { (view.tr("自", "From")) " " input type="date" name="from" value=(asked.from.map(|d| d.to_string()).unwrap_or_default()); }
            label { (view.tr("至", "until")) " " input type="date" name="until" value=(asked.until.map(|d| d.to_string()).unwrap_or_default()); }
            @for k in ["region", "topic", "source", "publisher", "status", "year", "measure", "known"] { @if let Some(v) = q.get(k).filter(|v| !v.is_empty()) { input type="hidden" name=(k) value=(v); } }
            button { (view.tr("搜索", "Search")) }
        }
        p { (match view.lang { Lang::Zh => format!("共 {} 篇", page.total), Lang::En => format!("{} articles", page.total) })
            @if !words.is_empty() { " · " @if asked.order == Order::Relevance { a href=(view.with(&[("order", "date"), ("page", "")])) { (view.tr("按日期排列", "order by date")) } } @else { a href=(view.with(&[("order", ""), ("page", "")])) { (view.tr("按相关程度排列", "order by relevance")) } } }
            " · " a href=(feed_link(view, "feed.atom")) { "Atom" } " · " a href=(feed_link(view, "feed.json")) { "JSON Feed" } }
        (crate::show::downloads(view, &[(api_link(&asked, q), "这份列表", "This list")]))
        div.facets {
            aside aria-label=(view.tr("筛选", "Filters")) {
                @let f = &page.facets;
                (facet(view, q, "topic", view.tr("主题", "Topic"), &f.topic, &|v| topic(view.lang, v)))
                (facet(view, q, "region", view.tr("地区", "Region"), &f.region, &|v| region(site, view.lang, v)))
                (facet(view, q, "source", view.tr("来源", "Source"), &f.source, &|v| v.to_owned()))
                (facet(view, q, "status", view.tr("状态", "Status"), &f.status, &|v| status(view.lang, v)))
                (facet(view, q, "year", view.tr("年份", "Year"), &f.year, &|v| v.to_owned()))
            }
            div {
                @if page.hits.is_empty() { p { (view.tr("没有符合条件的文章。去掉一些筛选，或换个说法再试。", "No article fits. Take off a filter, or try other words.")) } }
                ol.hits start=((asked.page - 1) * PER_PAGE + 1) { @for h in &page.hits { li { (hit(site, view, h, now)) } } }
                @if last > 1 { nav.chips aria-label=(view.tr("翻页", "Pages")) {
                    @if asked.page > 1 { a rel="prev" href=(view.with(&[("page", &(asked.page - 1).to_string())])) { "‹ " (view.tr("前一页", "before")) } }
                    span { (asked.page) " / " (last) }
                    @if u64::from(asked.page) < last { a rel="next" href=(view.with(&[("page", &(asked.page + 1).to_string())])) { (view.tr("后一页", "after")) " ›" } }
                } }
            }
        }
    };
    let simulated = site.lake().subjects().iter().any(|s| s.simulated);
    Ok(Shown::new(title, simulated, body))
}

/// The same query over the API. What the page reads into the box (a document number) is said.
fn api_link(asked: &ArticleQuery, q: &Params) -> String {
    let mut pairs = vec![
        ("q", asked.text.as_deref()),
        ("number", asked.number.as_deref()),
    ];
    for k in [
        "region",
        "topic",
        "source",
        "publisher",
        "status",
        "year",
        "from",
        "until",
        "measure",
        "order",
        "known",
    ] {
        pairs.push((k, q.get(k).map(String::as_str)));
    }
    let query: Vec<String> = pairs
        .into_iter()
        .filter_map(|(k, v)| Some(format!("{k}={}", crate::shell::encode(v?))))
        .collect();
    format!("/api/v1/articles?{}", query.join("&"))
}

fn feed_link(view: &View, name: &str) -> String {
    let whole = view.with(&[("page", "")]);
    let (path, query) = whole
        .split_once('?')
        .map_or((whole.as_str(), ""), |(p, q)| (p, q));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{path}/{name}{mark}{query}")
}

fn facet(
    view: &View,
    q: &Params,
    key: &str,
    title: &str,
    values: &[Facet],
    name: &dyn Fn(&str) -> String,
) -> Markup {
    let chosen = q.get(key).map_or("", String::as_str);
    html! {
        @if !values.is_empty() || !chosen.is_empty() {
            h2 { (title) }
            ul {
                @if !chosen.is_empty() { li { a href=(view.with(&[(key, ""), ("page", "")])) { "× " (name(chosen)) } } }
                @for v in values.iter().filter(|v| chosen.is_empty() || (v.value != chosen && v.also != chosen)).take(12) { li {
                    @let shown = if view.lang == Lang::En && !v.also.is_empty() { v.also.clone() } else { name(&v.value) };
                    a href=(view.with(&[(key, &v.value), ("page", "")])) { (shown) } " " span.soft { (v.count) }
                } }
            }
        }
    }
}

/// Released and how long ago.
pub(super) fn released(view: &View, at: Timestamp, now: Timestamp) -> Markup {
    let exact = when::exact(at);
    html! { @match when::ago(view.lang, at, now) {
        Some(ago) => { time datetime=(at) { (ago) } " " span.soft { (exact) } }
        None => time datetime=(at) { (exact) },
    } }
}

fn hit(site: &Site, view: &View, h: &Hit, now: Timestamp) -> Markup {
    let Some(v) = &h.article.current else {
        return html! {};
    };
    let Some(text) = v.content.text(view.lang) else {
        return html! {};
    };
    let c = &v.content;
    let linked = tracked(c.links.iter().map(|l| l.anchor.as_str()));
    let other = h.lang != view.lang && !h.snippet.is_empty();
    html! {
        h2 { a href=(view.link(&format!("/articles/{}", h.article.id))) lang=(tag(text.lang)) { (text.title) } }
        p.soft { (c.source.get(view.lang)) " · " (released(view, c.released_at, now)) " · "
            @for r in &c.regions { (region(site, view.lang, r)) " · " }
            (status(view.lang, c.status.as_str()))
            @if let Some(n) = &c.document_number { " · " span lang="zh-Hans" { (n) } } }
        p lang=[other.then_some(tag(h.lang))] { @if h.snippet.is_empty() { (text.summary) } @else { @for (marked, part) in &h.snippet { @if *marked { mark { (part) } } @else { (part) } } } }
        @if c.clauses > 0 { (coverage(view, linked, c.clauses)) }
    }
}

/// Distinct anchors.
pub(super) fn tracked<'a>(anchors: impl Iterator<Item = &'a str>) -> u32 {
    let mut all: Vec<&str> = anchors.collect();
    all.sort_unstable();
    all.dedup();
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

/// `tracked: 31 of 44 clauses`, with a bar.
pub(super) fn coverage(view: &View, linked: u32, clauses: u32) -> Markup {
    let words = match view.lang {
        Lang::Zh => format!("跟踪中：{clauses} 条中的 {linked} 条"),
        Lang::En => format!("tracked: {linked} of {clauses} clauses"),
    };
    let width = f64::from(linked) / f64::from(clauses.max(1)) * 120.0;
    html! { p.coverage { svg viewBox="0 0 120 8" width="120" height="8" aria-hidden="true" { rect.track width="120" height="8" rx="2" {} rect.used width=(format!("{width:.0}")) height="8" rx="2" {} } " " (words) } }
}

/// The latest articles, for the home page.
pub(super) async fn latest(site: &Site, view: &View, most: u32) -> Vec<Article> {
    let Some(store) = site.store() else {
        return Vec::new();
    };
    let q = ArticleQuery {
        known: view.known_at(),
        page: 1,
        per_page: most,
        ..ArticleQuery::default()
    };
    store
        .find_articles(&q)
        .await
        .map(|p| p.hits.into_iter().map(|h| h.article).collect())
        .unwrap_or_default()
}

/// The list as Atom.
pub(super) async fn as_atom(
    State(site): State<Arc<Site>>,
    view: View,
    Query(q): Query<Params>,
) -> Response {
    match feed(&site, &view, &q, "feed.atom").await {
        Ok(f) => (
            [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")],
            atom(&f),
        )
            .into_response(),
        Err(f) => f.page(&view),
    }
}

/// The list as JSON Feed.
pub(super) async fn as_json(
    State(site): State<Arc<Site>>,
    view: View,
    Query(q): Query<Params>,
) -> Response {
    match feed(&site, &view, &q, "feed.json").await {
        Ok(f) => (
            [(header::CONTENT_TYPE, "application/feed+json; charset=utf-8")],
            json(&f),
        )
            .into_response(),
        Err(f) => f.page(&view),
    }
}

async fn feed(site: &Site, view: &View, q: &Params, name: &str) -> Result<Feed, Failure> {
    let mut asked = query(view, q)?;
    asked.order = Order::Date;
    let page = store(site)?.find_articles(&asked).await?;
    let page_link = |n: u32| {
        let number = n.to_string();
        format!(
            "{}{}",
            view.origin,
            view.with(&[("page", if n > 1 { &number } else { "" })])
        )
    };
    let this = page_link(asked.page);
    let entries: Vec<Entry> = page
        .hits
        .iter()
        .filter_map(|h| {
            let v = h.article.current.as_ref()?;
            let t = v.content.text(view.lang)?;
            let mut tags: Vec<String> = v
                .content
                .topics
                .iter()
                .map(|t| topic(view.lang, t))
                .collect();
            tags.extend(v.content.regions.iter().cloned());
            Some(Entry {
                url: format!(
                    "{}{}",
                    view.origin,
                    view.link(&format!("/articles/{}", h.article.id))
                ),
                id: format!("urn:ulid:{}", h.article.id),
                title: t.title.clone(),
                summary: t.summary.clone(),
                author: v.content.source.get(view.lang).to_owned(),
                published: v.content.released_at,
                updated: v.decided_at.unwrap_or(v.content.released_at),
                tags,
                lang: tag(t.lang),
            })
        })
        .collect();
    let filter: Vec<&str> = ["q", "topic", "region", "source", "status", "year"]
        .iter()
        .filter_map(|k| q.get(*k).map(String::as_str))
        .filter(|v| !v.is_empty())
        .collect();
    let mut title = Text::new("文章与政策", "Articles and policies")
        .get(view.lang)
        .to_owned();
    if !filter.is_empty() {
        title = format!("{title}: {}", filter.join(", "));
    }
    let pages = page.total.div_ceil(u64::from(PER_PAGE));
    Ok(Feed {
        title,
        home: this.replace(&format!("/{name}"), ""),
        next: (u64::from(asked.page) < pages).then(|| page_link(asked.page + 1)),
        previous: (asked.page > 1).then(|| page_link(asked.page - 1)),
        updated: entries
            .iter()
            .map(|e| e.updated)
            .max()
            .unwrap_or(Timestamp::UNIX_EPOCH),
        total: page.total,
        lang: tag(view.lang),
        this,
        entries,
    })
}
