//! An article's content from the fields of the editor's form, and back.

use jiff::Timestamp;
use miyun_core::text::Lang;
use miyun_core::{MeasureId, Text};
use miyun_store::{
    ArticleContent, ArticleText, ClauseLink, LegalStatus, MediaId, Picture, TextStatus,
};

use crate::articles::markup;
use crate::server::Params;

/// The fields of the form from a content.
pub(super) fn fields(c: &ArticleContent) -> Params {
    let mut f = Params::new();
    let mut put = |k: &str, v: &str| {
        f.insert(k.to_owned(), v.to_owned());
    };
    for t in &c.texts {
        let l = match t.lang {
            Lang::Zh => "zh",
            Lang::En => "en",
        };
        put(&format!("title_{l}"), &t.title);
        put(&format!("summary_{l}"), &t.summary);
        put(&format!("body_{l}"), &t.body);
        put(&format!("status_{l}"), text_status(t.status));
    }
    put("source_zh", &c.source.zh);
    put("source_en", &c.source.en);
    put("publisher_zh", &c.publisher.zh);
    put("publisher_en", &c.publisher.en);
    put("released_at", &c.released_at.to_string());
    put(
        "issued_on",
        &c.issued_on.map(|d| d.to_string()).unwrap_or_default(),
    );
    put(
        "effective_from",
        &c.effective_from.map(|d| d.to_string()).unwrap_or_default(),
    );
    put(
        "effective_until",
        &c.effective_until.map(|d| d.to_string()).unwrap_or_default(),
    );
    put("status", c.status.as_str());
    put("regions", &c.regions.join(" "));
    put("topics", &c.topics.join(" "));
    put(
        "document_number",
        c.document_number.as_deref().unwrap_or(""),
    );
    put("index_number", c.index_number.as_deref().unwrap_or(""));
    let links: Vec<String> = c
        .links
        .iter()
        .map(|l| format!("{} {}", l.anchor, l.measure))
        .collect();
    put("links", &links.join("\n"));
    if let Some(p) = &c.picture {
        put("picture", p.media.as_str());
        put("caption_zh", &p.caption.zh);
        put("caption_en", &p.caption.en);
        put("alt_zh", &p.alt.zh);
        put("alt_en", &p.alt.en);
        put("credit", &p.credit);
        put("licence", &p.licence);
    }
    f
}

fn text_status(s: TextStatus) -> &'static str {
    match s {
        TextStatus::Original => "original",
        TextStatus::Machine => "machine",
        TextStatus::Reviewed => "reviewed",
        TextStatus::Official => "official",
    }
}

/// A content from the fields of the form; an error names the field.
pub(super) fn content(
    form: &Params,
    old: Option<&ArticleContent>,
) -> Result<ArticleContent, (String, String)> {
    let get = |k: &str| form.get(k).map_or("", |v| v.trim());
    let bad = |k: &str, why: String| (k.to_owned(), why);
    let day = |k: &str| match get(k) {
        "" => Ok(None),
        t => t
            .parse::<miyun_core::Date>()
            .map(Some)
            .map_err(|_| bad(k, format!("{t:?} is no day: write 2026-03-01"))),
    };
    let mut texts = Vec::new();
    for (lang, l) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
        let title = get(&format!("title_{l}"));
        let body = form.get(&format!("body_{l}")).map_or("", String::as_str);
        if title.is_empty() && body.trim().is_empty() {
            continue;
        }
        if body.len() > markup::LONGEST {
            return Err(bad(
                &format!("body_{l}"),
                format!("is longer than {} bytes", markup::LONGEST),
            ));
        }
        texts.push(ArticleText {
            lang,
            title: title.to_owned(),
            summary: get(&format!("summary_{l}")).to_owned(),
            body: markup::fixed(body),
            status: match get(&format!("status_{l}")) {
                "machine" => TextStatus::Machine,
                "reviewed" => TextStatus::Reviewed,
                "official" => TextStatus::Official,
                _ => TextStatus::Original,
            },
        });
    }
    // The original comes first.
    texts.sort_by_key(|t| t.status != TextStatus::Original);
    let clauses: Vec<String> = texts
        .first()
        .map(|t| markup::parse(&t.body))
        .unwrap_or_default()
        .into_iter()
        .filter(markup::Block::is_clause)
        .map(|b| b.anchor)
        .collect();
    let mut links = Vec::new();
    for (n, line) in get("links")
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, l)| !l.is_empty())
    {
        let (anchor, measure) = line.split_once(char::is_whitespace).ok_or_else(|| {
            bad(
                "links",
                format!(
                    "line {}: write a clause and a measure, such as s2.1 linxi-sim/2.1",
                    n + 1
                ),
            )
        })?;
        if !clauses.iter().any(|c| c == anchor) {
            return Err(bad(
                "links",
                format!("line {}: the text has no clause {anchor}", n + 1),
            ));
        }
        let measure: MeasureId = measure
            .trim()
            .parse()
            .map_err(|e: miyun_core::IdError| bad("links", format!("line {}: {e}", n + 1)))?;
        links.push(ClauseLink {
            anchor: anchor.to_owned(),
            measure,
        });
    }
    let picture = match get("picture") {
        "" => None,
        _ if form.contains_key("picture_remove") => None,
        t => Some(Picture {
            media: t
                .parse::<MediaId>()
                .map_err(|e| bad("picture_file", e.to_string()))?,
            caption: Text::new(get("caption_zh"), get("caption_en")),
            credit: get("credit").to_owned(),
            licence: get("licence").to_owned(),
            alt: Text::new(get("alt_zh"), get("alt_en")),
        }),
    };
    let list = |k: &str| get(k).split_whitespace().map(str::to_owned).collect();
    let some = |k: &str| Some(get(k).to_owned()).filter(|v| !v.is_empty());
    let released_at = match get("released_at") {
        "" => Timestamp::now(),
        t => t.parse().map_err(|_| {
            bad(
                "released_at",
                format!("{t:?} is no moment: write 2026-11-24T08:00:00Z"),
            )
        })?,
    };
    Ok(ArticleContent {
        texts,
        source: Text::new(get("source_zh"), get("source_en")),
        publisher: Text::new(get("publisher_zh"), get("publisher_en")),
        released_at,
        issued_on: day("issued_on")?,
        effective_from: day("effective_from")?,
        effective_until: day("effective_until")?,
        status: get("status").parse().unwrap_or(LegalStatus::Notice),
        regions: list("regions"),
        topics: list("topics"),
        audience: old.map_or(String::new(), |o| o.audience.clone()),
        document_number: some("document_number"),
        index_number: some("index_number"),
        picture,
        attachments: old.map_or(Vec::new(), |o| o.attachments.clone()),
        clauses: u32::try_from(clauses.len()).unwrap_or(u32::MAX),
        links,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Params {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_form_becomes_content_and_back() {
        let f = form(&[
            ("title_zh", "题"),
            ("body_zh", "甲\n\n乙"),
            ("title_en", "T"),
            ("body_en", "a\n\nb"),
            ("status_en", "reviewed"),
            ("links", "s0.2 linxi-sim/2.1"),
            ("released_at", "2026-01-09T01:00:00Z"),
            ("topics", "air plan"),
            ("status", "in-force"),
        ]);
        assert_eq!(content(&f, None).unwrap().picture, None);
        let mut f = f;
        f.extend(form(&[
            ("picture", MediaId::of(b"x").as_str()),
            ("caption_zh", "山"),
            ("caption_en", "hills"),
            ("alt_zh", "一座山"),
            ("alt_en", "a hill"),
            ("credit", "Li"),
            ("licence", "CC0"),
        ]));
        let c = content(&f, None).unwrap();
        let mut without = f.clone();
        without.insert("picture_remove".into(), "1".into());
        assert_eq!(content(&without, Some(&c)).unwrap().picture, None);
        assert_eq!((c.clauses, c.links.len(), c.texts.len()), (2, 1, 2));
        assert_eq!(c.texts[0].lang, Lang::Zh);
        assert!(c.texts[0].body.contains("乙 {#s0.2}"));
        let again = content(&fields(&c), Some(&c)).unwrap();
        assert_eq!(again, c);
    }

    #[test]
    fn a_mistake_names_its_field() {
        let field = |extra: &[(&str, &str)]| {
            let mut f = form(&[("title_zh", "题"), ("body_zh", "甲")]);
            f.extend(form(extra));
            content(&f, None).unwrap_err().0
        };
        assert_eq!(field(&[("links", "s9.9 linxi-sim/2.1")]), "links");
        assert_eq!(field(&[("links", "s0.1")]), "links");
        assert_eq!(field(&[("issued_on", "soon")]), "issued_on");
        assert_eq!(field(&[("released_at", "today")]), "released_at");
        assert_eq!(field(&[("picture", "../x")]), "picture_file");
    }
}
