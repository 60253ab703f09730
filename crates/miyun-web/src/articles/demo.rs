//! Articles of the demonstration city: its plan in two versions, a report, a notice, and one that
//! was withdrawn. Written for this program.

use jiff::Timestamp;
use miyun_core::Text;
use miyun_core::text::Lang;
use miyun_store::{
    ArticleContent, ArticleId, ArticleText, ClauseLink, LegalStatus, NewPerson, PersonId, Picture,
    Store, StoreError, TextStatus,
};

use super::markup::{Block, parse};

const PLAN: (&str, &str) = (
    include_str!("../../demo/plan.zh.md"),
    include_str!("../../demo/plan.en.md"),
);
const AUTUMN: (&str, &str) = (
    include_str!("../../demo/autumn.zh.md"),
    include_str!("../../demo/autumn.en.md"),
);
const DATA: (&str, &str) = (
    include_str!("../../demo/data.zh.md"),
    include_str!("../../demo/data.en.md"),
);
const PICTURE: &[u8] = include_bytes!("../../demo/hills.png");

/// Clauses of the plan and the measures that track them.
const PLAN_LINKS: [(&str, &str); 15] = [
    ("s1.1", "1.1"),
    ("s1.2", "0.1"),
    ("s2.1", "2.1"),
    ("s2.2", "2.1"),
    ("s2.3", "2.4"),
    ("s2.4", "2.6"),
    ("s2.5", "2.7"),
    ("s2.7", "2.5"),
    ("s3.1", "3.4"),
    ("s3.2", "3.8"),
    ("s4.1", "4.3"),
    ("s5.1", "5.3"),
    ("s6.1", "6.3"),
    ("s6.2", "6.4"),
    ("s6.4", "0.1"),
];

/// The two persons who wrote and approved; found again if they are there.
async fn persons(store: &Store, at: Timestamp) -> Result<(PersonId, PersonId), StoreError> {
    let mut out = Vec::new();
    for (login, name) in [
        ("editor", "Lin Wen (simulated)"),
        ("chief", "Xi Yue (simulated)"),
    ] {
        let id = match store.person_by_login(login).await? {
            Some(p) => p.id,
            None => {
                let new = NewPerson {
                    login: login.into(),
                    name: name.into(),
                    email: String::new(),
                    password: None,
                };
                store.add_person(&new, at).await?
            }
        };
        out.push(id);
    }
    Ok((out[0].clone(), out[1].clone()))
}

/// What an article needs besides its text.
struct Head {
    title: (&'static str, &'static str),
    summary: (&'static str, &'static str),
    released: &'static str,
    number: Option<&'static str>,
    status: LegalStatus,
    topics: &'static [&'static str],
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn content(head: &Head, zh: &str, en: &str, links: &[(&str, &str)]) -> ArticleContent {
    let text = |lang, title: &str, summary: &str, body: &str, status| ArticleText {
        lang,
        title: title.into(),
        summary: summary.into(),
        body: body.into(),
        status,
    };
    let clauses = parse(zh).iter().filter(|b| Block::is_clause(b)).count();
    ArticleContent {
        texts: vec![
            text(
                Lang::Zh,
                head.title.0,
                head.summary.0,
                zh,
                TextStatus::Original,
            ),
            text(
                Lang::En,
                head.title.1,
                head.summary.1,
                en,
                TextStatus::Reviewed,
            ),
        ],
        source: Text::new(
            "临汐市生态环境局（模拟）",
            "Linxi bureau of ecology (simulated)",
        ),
        publisher: Text::new("临汐市人民政府（模拟）", "Government of Linxi (simulated)"),
        released_at: moment(head.released),
        issued_on: head.released.get(..10).and_then(|d| d.parse().ok()),
        effective_from: None,
        effective_until: None,
        status: head.status,
        regions: vec!["CN/sim".into()],
        topics: head.topics.iter().map(|t| (*t).to_owned()).collect(),
        audience: String::new(),
        document_number: head.number.map(str::to_owned),
        index_number: None,
        picture: None,
        attachments: Vec::new(),
        clauses: u32::try_from(clauses).unwrap_or(0),
        links: links
            .iter()
            .filter_map(|(anchor, row)| {
                Some(ClauseLink {
                    anchor: (*anchor).to_owned(),
                    measure: format!("linxi-sim/{row}").parse().ok()?,
                })
            })
            .collect(),
    }
}

/// When the plan was changed and when the early report was withdrawn.
const PLAN_CHANGED: &str = "2026-03-20T02:00:00Z";
const EARLY_WITHDRAWN: &str = "2026-11-22T09:00:00Z";

/// Puts the articles into a store that has none, each published when it was released, so that one can
/// look back; nothing is published later than `at`. Returns how many were put.
///
/// # Errors
/// [`StoreError`] if the records refuse one.
pub async fn fill(store: &Store, at: Timestamp) -> Result<u32, StoreError> {
    let none = store
        .find_articles(&miyun_store::ArticleQuery {
            page: 1,
            per_page: 1,
            ..Default::default()
        })
        .await?
        .total
        == 0;
    if !none {
        return Ok(0);
    }
    let (editor, chief) = persons(store, at).await?;
    let publish =
        async |id: Option<&ArticleId>, c: &ArticleContent, note: &str, then: Timestamp| {
            let at = then.min(at);
            let (id, _) = store.save_draft(id, c, note, &editor, at).await?;
            store.propose_article(&id, &editor, at).await?;
            store.decide_article(&id, true, "", &chief, at).await?;
            Ok::<ArticleId, StoreError>(id)
        };
    let widths = crate::picture::prepare(PICTURE)
        .map_err(|e| StoreError::Conflict(format!("the picture of the plan: {e}")))?;
    let media = store.put_picture(&widths, editor.as_str(), at).await?;
    let plan = Head {
        title: (
            "临汐市 2026 年生态环境工作计划",
            "Linxi: plan of ecological work for 2026",
        ),
        summary: (
            "十二项措施，每一条都写明用什么数据证明。",
            "Twelve measures, each with the data that will prove it.",
        ),
        released: "2026-01-09T01:00:00Z",
        number: Some("临环发〔2026〕1 号"),
        status: LegalStatus::InForce,
        topics: &["plan", "air", "carbon"],
    };
    let mut first = content(&plan, PLAN.0, PLAN.1, &PLAN_LINKS[..11]);
    // The plan as first published had a looser target and no list at the end.
    for t in &mut first.texts {
        t.body = t.body.replace("29.0", "30.0");
        let end = t.body.find("\n- ").unwrap_or(t.body.len());
        t.body.truncate(end);
    }
    first.clauses = u32::try_from(
        parse(&first.texts[0].body)
            .iter()
            .filter(|b| b.is_clause())
            .count(),
    )
    .unwrap_or(0);
    first.picture = Some(Picture {
        media,
        caption: Text::new(
            "临汐市与汐河（示意）。",
            "Linxi and the river Xi (a drawing).",
        ),
        credit: "Miyun".into(),
        licence: "CC0".into(),
        alt: Text::new(
            "示意图：山前的城市，一条河从前面流过。",
            "Drawing: a city before hills, a river in front.",
        ),
    });
    let id = publish(None, &first, "", first.released_at).await?;
    let mut second = content(&plan, PLAN.0, PLAN.1, &PLAN_LINKS);
    second.picture = first.picture.clone();
    second.released_at = first.released_at;
    publish(Some(&id), &second, "PM2.5 目标由 30.0 收紧到 29.0，新增数据公开的要求。 / The target of PM2.5 goes from 30.0 to 29.0; publication of data is added.", moment(PLAN_CHANGED)).await?;
    let autumn = Head {
        title: (
            "秋季空气质量通报：一台仪器的订正",
            "Air of the autumn: the correction of one instrument",
        ),
        summary: (
            "钢铁新村站 60 天的细颗粒物读数已按校准记录订正，旧值保留。",
            "Sixty days of fine particles at Steelworks were corrected by the calibration record; the old values are kept.",
        ),
        released: "2026-11-22T09:00:00Z",
        number: None,
        status: LegalStatus::Notice,
        topics: &["air"],
    };
    let links = [("s1.1", "2.1"), ("s2.1", "2.6"), ("s2.2", "2.4")];
    let c = content(&autumn, AUTUMN.0, AUTUMN.1, &links);
    publish(None, &c, "", c.released_at).await?;
    let data = Head {
        title: (
            "关于公开环境数据的通知",
            "Notice on the publication of environmental data",
        ),
        summary: (
            "数据、订正、编号和条款网址怎样公开。",
            "How data, corrections, ids and addresses of clauses are published.",
        ),
        released: "2026-03-02T02:00:00Z",
        number: Some("临环发〔2026〕7 号"),
        status: LegalStatus::InForce,
        topics: &["governance"],
    };
    let c = content(&data, DATA.0, DATA.1, &[("s0.2", "0.1"), ("s0.4", "0.1")]);
    publish(None, &c, "", c.released_at).await?;
    let early = Head {
        title: ("十月空气质量快报", "Quick report of October's air"),
        summary: (
            "依据订正前的读数。",
            "Rests on readings before the correction.",
        ),
        released: "2026-11-02T02:00:00Z",
        number: None,
        status: LegalStatus::Notice,
        topics: &["air"],
    };
    let text = (
        "十月细颗粒物高于去年同月。",
        "Fine particles in October were above those of last October.",
    );
    let c = content(&early, text.0, text.1, &[]);
    let gone = publish(None, &c, "", c.released_at).await?;
    store
        .withdraw_article(
            &gone,
            "依据的仪器读数已经订正，见 11 月 22 日通报。 / The readings it rests on were corrected; see the report of 22 November.",
            &chief,
            moment(EARLY_WITHDRAWN).min(at),
        )
        .await?;
    Ok(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_clauses_and_links_hit_them() {
        for (zh, en) in [PLAN, AUTUMN, DATA] {
            let anchors = |t: &str| -> Vec<(String, bool)> {
                parse(t)
                    .into_iter()
                    .map(|b| (b.anchor.clone(), b.is_clause()))
                    .collect()
            };
            assert_eq!(anchors(zh), anchors(en));
            assert_eq!(super::super::markup::fixed(zh).trim(), zh.trim());
        }
        let plan = parse(PLAN.0);
        let book = miyun_rulebook::Rulebook::embedded();
        let plans = miyun_plan::embedded(book.vocabulary());
        let linxi = plans.iter().find(|p| p.id == "linxi-sim").unwrap();
        for (anchor, row) in PLAN_LINKS {
            assert!(
                plan.iter().any(|b| b.anchor == anchor && b.is_clause()),
                "{anchor}"
            );
            assert!(linxi.measures.iter().any(|m| m.row == row), "{row}");
        }
        for m in &linxi.measures {
            assert!(
                PLAN_LINKS.iter().any(|(_, r)| *r == m.row),
                "measure {} has no clause",
                m.row
            );
        }
    }

    #[tokio::test]
    async fn the_articles_are_there_once_and_found_in_both_languages() {
        let store = Store::memory().await.unwrap();
        let at = "2026-11-24T00:00:00Z".parse().unwrap();
        assert_eq!(fill(&store, at).await.unwrap(), 4);
        assert_eq!(fill(&store, at).await.unwrap(), 0);
        for (words, n) in [
            ("细颗粒物", 2),
            ("扬尘", 2),
            ("microgram", 2),
            ("Parquet", 1),
            ("nowhere", 0),
        ] {
            let q = miyun_store::ArticleQuery {
                text: Some(words.into()),
                page: 1,
                per_page: 10,
                ..Default::default()
            };
            assert_eq!(store.find_articles(&q).await.unwrap().total, n, "{words}");
        }
    }
}
