//! Feeds of a list of articles: Atom (RFC 4287) and JSON Feed 1.1, with paging links.

use jiff::Timestamp;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Lasting address.
    pub url: String,
    /// `urn:` or address that never changes.
    pub id: String,
    /// Headline.
    pub title: String,
    /// A sentence or two.
    pub summary: String,
    /// Who wrote it.
    pub author: String,
    /// Released.
    pub published: Timestamp,
    /// Last changed.
    pub updated: Timestamp,
    /// Topics and regions.
    pub tags: Vec<String>,
    /// Language tag.
    pub lang: &'static str,
}

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Title.
    pub title: String,
    /// Address of this page of the feed.
    pub this: String,
    /// Address of the list for people.
    pub home: String,
    /// Next page.
    pub next: Option<String>,
    /// Page before.
    pub previous: Option<String>,
    /// When the newest entry changed; the epoch for an empty feed.
    pub updated: Timestamp,
    /// Entries in the whole list.
    pub total: u64,
    /// Language tag.
    pub lang: &'static str,
    /// Entries.
    pub entries: Vec<Entry>,
}

/// Text for XML: marks escaped, signs that XML 1.0 does not allow left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Atom.
#[must_use]
pub fn atom(f: &Feed) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    out.push_str(&format!(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:os=\"http://a9.com/-/spec/opensearch/1.1/\" xml:lang=\"{}\">\n<title>{}</title>\n<id>{}</id>\n<updated>{}</updated>\n<os:totalResults>{}</os:totalResults>\n",
        xml(f.lang), xml(&f.title), xml(&f.this), f.updated, f.total
    ));
    let mut link = |rel: &str, kind: &str, href: &str| {
        out.push_str(&format!(
            "<link rel=\"{rel}\" type=\"{kind}\" href=\"{}\"/>\n",
            xml(href)
        ));
    };
    link("self", "application/atom+xml", &f.this);
    link("alternate", "text/html", &f.home);
    if let Some(n) = &f.next {
        link("next", "application/atom+xml", n);
    }
    if let Some(p) = &f.previous {
        link("previous", "application/atom+xml", p);
    }
    for e in &f.entries {
        out.push_str(&format!(
            "<entry xml:lang=\"{}\">\n<title>{}</title>\n<id>{}</id>\n<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n<published>{}</published>\n<updated>{}</updated>\n<author><name>{}</name></author>\n<summary>{}</summary>\n",
            xml(e.lang), xml(&e.title), xml(&e.id), xml(&e.url), e.published, e.updated, xml(&e.author), xml(&e.summary)
        ));
        for t in &e.tags {
            out.push_str(&format!("<category term=\"{}\"/>\n", xml(t)));
        }
        out.push_str("</entry>\n");
    }
    out.push_str("</feed>\n");
    out
}

/// JSON Feed.
#[must_use]
pub fn json(f: &Feed) -> String {
    let items: Vec<serde_json::Value> = f
        .entries
        .iter()
        .map(|e| {
            serde_json::json!({
                "id": e.id, "url": e.url, "title": e.title, "content_text": e.summary,
                "date_published": e.published.to_string(), "date_modified": e.updated.to_string(),
                "authors": [{ "name": e.author }], "tags": e.tags, "language": e.lang,
            })
        })
        .collect();
    let mut v = serde_json::json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": f.title, "home_page_url": f.home, "feed_url": f.this,
        "language": f.lang, "items": items,
    });
    if let Some(n) = &f.next {
        v["next_url"] = n.clone().into();
    }
    v.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(title: &str) -> Feed {
        let t = "2026-11-24T02:00:00Z".parse().unwrap();
        Feed {
            title: "文章".into(),
            this: "https://x.example/zh/articles/feed.atom?topic=air&page=2".into(),
            home: "https://x.example/zh/articles?topic=air".into(),
            next: None,
            previous: Some("https://x.example/zh/articles/feed.atom?topic=air".into()),
            updated: t,
            total: 21,
            lang: "zh-Hans",
            entries: vec![Entry {
                url: "https://x.example/zh/articles/1".into(),
                id: "urn:ulid:1".into(),
                title: title.into(),
                summary: "a < b".into(),
                author: "临汐市".into(),
                published: t,
                updated: t,
                tags: vec!["air".into()],
                lang: "zh-Hans",
            }],
        }
    }

    #[test]
    fn a_title_cannot_break_the_feed() {
        let text = atom(&feed("</title><script>&\u{0}\u{8}\""));
        assert!(text.contains("&lt;/title&gt;&lt;script&gt;&amp;&quot;"));
        assert!(!text.contains("<script") && !text.contains('\u{0}'));
        assert_eq!(
            text.matches("<entry").count(),
            text.matches("</entry>").count()
        );
        assert!(text.contains("feed.atom?topic=air&amp;page=2"));
    }

    #[test]
    fn both_forms_say_the_same() {
        let f = feed("标题");
        let v: serde_json::Value = serde_json::from_str(&json(&f)).unwrap();
        assert_eq!(v["items"][0]["title"], "标题");
        assert_eq!(v["items"][0]["date_published"], "2026-11-24T02:00:00Z");
        assert!(atom(&f).contains("<title>标题</title>"));
        assert!(v.get("next_url").is_none());
    }
}
