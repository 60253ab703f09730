//! One search over measures, rules, stations, articles and terms.
//!
//! Chinese is segmented as it is for articles, so that words count wherever they stand in a text.

use miyun_core::Text;
use miyun_store::{ArticlePage, ArticleQuery, Order, StoreError, words};

use crate::site::Site;
use crate::terms::TERMS;

/// Longest query in characters.
pub const QUERY_LEN_MAX: usize = 120;
/// Hits of one kind at most.
pub const HITS_MAX: usize = 20;

/// What a hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A measure of a plan.
    Measure,
    /// A legal instrument.
    Rule,
    /// A city or a station.
    Place,
    /// An article.
    Article,
    /// A term of the glossary.
    Term,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Measure,
        Self::Rule,
        Self::Place,
        Self::Article,
        Self::Term,
    ];

    /// Its word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measure => "measure",
            Self::Rule => "rule",
            Self::Place => "place",
            Self::Article => "article",
            Self::Term => "term",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Text {
        match self {
            Self::Measure => Text::new("措施", "Measures"),
            Self::Rule => Text::new("规则", "Rules"),
            Self::Place => Text::new("站点与城市", "Stations and cities"),
            Self::Article => Text::new("文章", "Articles"),
            Self::Term => Text::new("术语", "Terms"),
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// Path of its page, without the language.
    pub link: String,
}

/// What is asked for.
struct Asked {
    phrase: String,
    /// As they were written, at blanks.
    written: Vec<String>,
    /// As they are segmented.
    words: Vec<String>,
}

impl Asked {
    fn of(text: &str) -> Self {
        let phrase: String = text
            .trim()
            .chars()
            .take(QUERY_LEN_MAX)
            .collect::<String>()
            .to_lowercase();
        Self {
            written: phrase.split_whitespace().map(str::to_owned).collect(),
            words: words::of_query(&phrase),
            phrase,
        }
    }

    /// How well a thing fits, 0 best: the phrase in its title, then what was written anywhere, then
    /// the segmented words anywhere. `None` if it does not fit.
    fn rank(&self, title: &str, more: &str) -> Option<u8> {
        let title = title.to_lowercase();
        let all = format!("{title} {}", more.to_lowercase());
        let each = |words: &[String], text: &str| {
            !words.is_empty() && words.iter().all(|w| text.contains(w.as_str()))
        };
        if self.phrase.is_empty() {
            None
        } else if title.contains(&self.phrase) {
            Some(0)
        } else if each(&self.written, &all) {
            Some(1)
        } else if each(&self.words, &title) {
            Some(2)
        } else {
            each(&self.words, &all).then_some(3)
        }
    }
}

/// Measures, rules, places and terms that fit, each kind by how well.
#[must_use]
pub fn find(site: &Site, text: &str) -> Vec<Hit> {
    let asked = Asked::of(text);
    let mut found: Vec<(u8, Hit)> = Vec::new();
    let mut put = |kind, rank: Option<u8>, id: &str, title: Text, link: String| {
        if let Some(rank) = rank {
            let id = id.to_owned();
            found.push((
                rank,
                Hit {
                    kind,
                    id,
                    title,
                    link,
                },
            ));
        }
    };
    for (p, m) in site
        .plans
        .iter()
        .flat_map(|p| p.measures.iter().map(move |m| (p, m)))
    {
        let rank = asked.rank(
            &format!("{} {} {}", m.row, m.title.zh, m.title.en),
            &format!("{} {} {} {}", m.text.zh, m.text.en, m.lead.zh, m.lead.en),
        );
        let title = Text::new(
            format!("{} {}", m.row, m.title.zh),
            format!("{} {}", m.row, m.title.en),
        );
        let link = format!("/plan/{}/{}", p.id, m.row);
        put(Kind::Measure, rank, m.id.as_str(), title, link);
    }
    for i in site.book.instruments() {
        let names = format!("{} {} {}", i.id, i.title.zh, i.title.en);
        let title = Text::new(
            format!("{} {}", i.id, i.title.zh),
            format!("{} {}", i.id, i.title.en),
        );
        // A number is written with and without its dashes: GB 3095, GB-3095.
        let rank = asked.rank(&names, &i.id.as_str().replace('-', " "));
        put(
            Kind::Rule,
            rank,
            i.id.as_str(),
            title,
            format!("/rules/{}", i.id),
        );
    }
    for s in site.lake().subjects() {
        let d = s
            .district
            .as_ref()
            .map_or(String::new(), |d| format!("{} {}", d.zh, d.en));
        let rank = asked.rank(&format!("{} {} {}", s.name.zh, s.name.en, s.id), &d);
        let link = if s.part_of.is_some() {
            format!("/air/station/{}", s.id)
        } else {
            format!("/air?city={}", s.id)
        };
        put(Kind::Place, rank, s.id.as_str(), s.name.clone(), link);
    }
    for t in TERMS.iter() {
        let rank = asked.rank(&format!("{} {}", t.zh, t.en), "");
        let main = t.en.split('|').next().unwrap_or(t.en);
        put(
            Kind::Term,
            rank,
            t.zh,
            Text::new(format!("{} · {main}", t.zh), format!("{main} · {}", t.zh)),
            "/glossary".into(),
        );
    }
    found.sort_by_key(|(rank, _)| *rank);
    Kind::ALL
        .into_iter()
        .flat_map(|k| {
            found
                .iter()
                .filter(move |(_, h)| h.kind == k)
                .take(HITS_MAX)
                .map(|(_, h)| h.clone())
        })
        .collect()
}

/// Articles whose text holds what is asked, best first.
///
/// # Errors
/// [`StoreError`] if the records do not answer.
pub async fn articles(
    site: &Site,
    text: &str,
    known: Option<jiff::Timestamp>,
) -> Result<ArticlePage, StoreError> {
    let text: String = text.trim().chars().take(QUERY_LEN_MAX).collect();
    let (Some(store), false) = (site.store(), text.is_empty()) else {
        return Ok(ArticlePage::default());
    };
    let number = text.contains('〔');
    let q = ArticleQuery {
        // Who writes a document number into the box wants that document.
        number: number.then(|| text.clone()),
        text: (!number).then_some(text),
        known,
        order: Order::Relevance,
        page: 1,
        per_page: HITS_MAX as u32,
        ..ArticleQuery::default()
    };
    store.find_articles(&q).await
}

/// The articles of a page as hits.
#[must_use]
pub fn as_hits(page: &ArticlePage) -> Vec<Hit> {
    page.hits
        .iter()
        .filter_map(|h| {
            let c = &h.article.current.as_ref()?.content;
            let title = |lang| c.text(lang).map_or("", |t| t.title.as_str());
            Some(Hit {
                kind: Kind::Article,
                id: h.article.id.to_string(),
                title: Text::new(
                    title(miyun_core::text::Lang::Zh),
                    title(miyun_core::text::Lang::En),
                ),
                link: format!("/articles/{}", h.article.id),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_words_count_wherever_they_stand() {
        let rank = |q: &str, title: &str, more: &str| Asked::of(q).rank(title, more);
        assert_eq!(rank("油烟", "施工油烟管控", ""), Some(0));
        assert_eq!(rank("油烟管控", "管控道路与工地油烟", ""), Some(2));
        assert_eq!(rank("油烟治理", "施工工地", "治理各类油烟"), Some(3));
        assert_eq!(rank("油烟治理", "施工油烟", ""), None);
        assert_eq!(
            rank("gb 3095", "GB-3095-2026 甲类", "GB 3095 2026"),
            Some(1)
        );
        assert_eq!(rank("  ", "x", ""), None);
        assert_eq!(rank("%_", "x", ""), None);
    }
}
