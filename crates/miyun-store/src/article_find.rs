//! Finding articles: words, filters, facets, snippets.

use jiff::Timestamp;
use miyun_core::text::Lang;
use miyun_core::{Date, MeasureId};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::article::{Article, LegalStatus};
use crate::article_write::lang_word;
use crate::row::{R, stamp};
use crate::store::Backend;
use crate::{ArticleId, Store, StoreError, words};

/// Order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Latest release first.
    #[default]
    Date,
    /// Best match first; by date without words.
    Relevance,
}

/// What to look for. Likes never decide the order.
#[derive(Debug, Clone, Default)]
pub struct ArticleQuery {
    /// Words that must all be there.
    pub text: Option<String>,
    /// Language that the words are in; both if `None`.
    pub lang: Option<Lang>,
    /// Region code; what it contains counts.
    pub region: Option<String>,
    /// Topic.
    pub topic: Option<String>,
    /// Source, in either language.
    pub source: Option<String>,
    /// Publisher, in either language.
    pub publisher: Option<String>,
    /// Legal life.
    pub status: Option<LegalStatus>,
    /// Year of release.
    pub year: Option<i16>,
    /// Document or index number.
    pub number: Option<String>,
    /// Released on or after.
    pub from: Option<Date>,
    /// Released on or before.
    pub until: Option<Date>,
    /// Has a clause that this measure tracks.
    pub measure: Option<MeasureId>,
    /// As known then: the versions that were shown at that moment; now if `None`. What was withdrawn
    /// since stays away.
    pub known: Option<Timestamp>,
    /// Order.
    pub order: Order,
    /// Page, from 1.
    pub page: u32,
    /// Articles a page, at most 100.
    pub per_page: u32,
}

/// A value that articles can be filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// The value, in Chinese where it has two languages.
    pub value: String,
    /// The same in English, empty if it has one form.
    pub also: String,
    /// Articles of this search that have it.
    pub count: u64,
}

/// Facets of a search, each by falling count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Facets {
    /// Regions.
    pub region: Vec<Facet>,
    /// Topics.
    pub topic: Vec<Facet>,
    /// Sources.
    pub source: Vec<Facet>,
    /// Publishers.
    pub publisher: Vec<Facet>,
    /// Legal lives.
    pub status: Vec<Facet>,
    /// Years of release.
    pub year: Vec<Facet>,
}

/// An article that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The article.
    pub article: Article,
    /// Language of the text that matched.
    pub lang: Lang,
    /// Text around the first match; true marks what was asked for.
    pub snippet: Vec<(bool, String)>,
}

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ArticlePage {
    /// Articles in all.
    pub total: u64,
    /// Articles of this page.
    pub hits: Vec<Hit>,
    /// Facets of all of them.
    pub facets: Facets,
}

/// A clause that a measure tracks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeasureLink {
    /// The article.
    pub article: ArticleId,
    /// Its titles.
    pub titles: Vec<(Lang, String)>,
    /// The clause.
    pub anchor: String,
}

/// A version that fits, and the language of its text that does.
struct Found {
    id: ArticleId,
    version: u32,
    lang: Option<Lang>,
}

/// Most articles that a search looks at.
const FOUND_MAX: i64 = 10_000;

/// SQL with its values.
#[derive(Default, Clone)]
struct Filter {
    sql: String,
    values: Vec<String>,
}

impl Filter {
    /// Adds a condition; each `?` stands for the next value.
    fn and(&mut self, condition: &str, values: &[String]) {
        let mut next = self.values.len();
        self.sql.push_str(" AND ");
        for c in condition.chars() {
            if c == '?' {
                next += 1;
                self.sql.push_str(&format!("${next}"));
            } else {
                self.sql.push(c);
            }
        }
        self.values.extend_from_slice(values);
    }
}

/// The versions (`c`) that were shown at a moment.
fn shown(f: &mut Filter, known: Option<Timestamp>) {
    match known.map(stamp) {
        None => f.and("c.shown_until IS NULL", &[]),
        Some(t) => f.and(
            "c.shown_from <= ? AND (c.shown_until IS NULL OR c.shown_until > ?)",
            &[t.clone(), t],
        ),
    }
}

fn filter(q: &ArticleQuery) -> Filter {
    let mut f = Filter::default();
    shown(&mut f, q.known);
    let facet = "EXISTS (SELECT 1 FROM article_facet f WHERE f.article = c.article AND f.version = c.version AND f.kind = ? AND (f.value = ? OR f.also = ?))";
    let facets = [
        ("region", q.region.clone()),
        ("topic", q.topic.clone()),
        ("source", q.source.clone()),
        ("publisher", q.publisher.clone()),
        ("status", q.status.map(|s| s.as_str().to_owned())),
        ("year", q.year.map(|y| format!("{y:04}"))),
        ("number", q.number.as_ref().map(|n| n.trim().to_owned())),
    ];
    for (kind, value) in facets {
        if let Some(v) = value.filter(|v| !v.is_empty()) {
            f.and(facet, &[kind.into(), v.clone(), v]);
        }
    }
    if let Some(d) = q.from {
        f.and("c.released_at >= ?", &[d.to_string()]);
    }
    if let Some(d) = q.until {
        f.and(
            "c.released_at < ?",
            &[d.tomorrow().unwrap_or(d).to_string()],
        );
    }
    if let Some(m) = &q.measure {
        f.and(
            "EXISTS (SELECT 1 FROM article_link l WHERE l.article = c.article AND l.version = c.version AND l.measure = ?)",
            &[m.as_str().to_owned()],
        );
    }
    f
}

/// A text for LIKE, whose own signs stand for themselves.
fn like(text: &str) -> String {
    let mut out = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

impl Store {
    /// Finds published articles.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn find_articles(&self, q: &ArticleQuery) -> Result<ArticlePage, StoreError> {
        let asked = [
            &q.text,
            &q.region,
            &q.topic,
            &q.source,
            &q.publisher,
            &q.number,
        ];
        if asked.into_iter().flatten().any(|t| t.contains('\0')) {
            // No stored text holds one.
            return Ok(ArticlePage::default());
        }
        let text = q.text.as_deref().map(str::trim).filter(|t| !t.is_empty());
        let phrase = text.map(|t| t.chars().take(200).collect::<String>().to_lowercase());
        let terms = phrase.as_deref().map(words::of_query).unwrap_or_default();
        let base = filter(q);
        let found = match &phrase {
            None => self.by_date(&base).await?,
            Some(p) if terms.is_empty() => self.by_phrase(&base, q, p).await?,
            Some(p) => {
                let by_words = self.by_words(&base, q, p, &terms).await?;
                if by_words.is_empty() {
                    // A dictionary may cut a new word in another way than the text did.
                    self.by_phrase(&base, q, p).await?
                } else {
                    by_words
                }
            }
        };
        let per_page = q.per_page.clamp(1, 100) as usize;
        let start = (q.page.max(1) as usize - 1).saturating_mul(per_page);
        let mut hits = Vec::new();
        for Found { id, version, lang } in found.iter().skip(start).take(per_page) {
            let Some(mut article) = self.article(id).await? else {
                continue;
            };
            if article.current.as_ref().map(|c| c.version) != Some(*version) {
                article.current = self.article_version(id, *version).await?;
            }
            let Some(content) = article.current.as_ref().map(|c| &c.content) else {
                continue;
            };
            let lang = lang.or(q.lang).unwrap_or_else(|| content.texts[0].lang);
            let snippet = content
                .text(lang)
                .map(|t| snippet(&t.summary, &t.body, phrase.as_deref(), &terms))
                .unwrap_or_default();
            hits.push(Hit {
                article,
                lang,
                snippet,
            });
        }
        Ok(ArticlePage {
            total: found.len() as u64,
            hits,
            facets: self.facets(&found).await?,
        })
    }

    async fn ids(&self, sql: String, values: &[String]) -> Result<Vec<Found>, StoreError> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for v in values {
            query = query.bind(v.clone());
        }
        let mut out = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in &query.fetch_all(&self.pool).await? {
            let r = R("article_shown", row);
            let id: ArticleId = r.parse("article")?;
            let version = u32::try_from(r.int("version")?).unwrap_or(0);
            if seen.insert(id.clone()) {
                let lang = match r.text("lang")?.as_str() {
                    "zh" => Some(Lang::Zh),
                    "en" => Some(Lang::En),
                    _ => None,
                };
                out.push(Found { id, version, lang });
            }
        }
        Ok(out)
    }

    async fn by_date(&self, base: &Filter) -> Result<Vec<Found>, StoreError> {
        let sql = format!(
            "SELECT c.article, c.version, '' AS lang FROM article_shown c WHERE 1 = 1{} \
             ORDER BY c.released_at DESC, c.article DESC LIMIT {FOUND_MAX}",
            base.sql
        );
        self.ids(sql, &base.values).await
    }

    async fn by_words(
        &self,
        base: &Filter,
        q: &ArticleQuery,
        phrase: &str,
        terms: &[String],
    ) -> Result<Vec<Found>, StoreError> {
        let mut f = base.clone();
        let (from, rank) = match self.backend() {
            Backend::Sqlite => {
                let all = terms
                    .iter()
                    .map(|t| format!("\"{t}\""))
                    .collect::<Vec<_>>()
                    .join(" ");
                f.and("article_words MATCH ?", &[all]);
                (
                    "article_words w JOIN article_text t ON t.article = w.article AND t.version = w.version AND t.lang = w.lang \
                     JOIN article_shown c ON c.article = w.article AND c.version = w.version",
                    "bm25(article_words, 8.0, 1.0), ",
                )
            }
            Backend::Postgres => {
                let all = terms
                    .iter()
                    .map(|t| format!("'{t}'"))
                    .collect::<Vec<_>>()
                    .join(" & ");
                f.and("t.words @@ CAST(? AS tsquery)", &[all]);
                (
                    "article_text t JOIN article_shown c ON c.article = t.article AND c.version = t.version",
                    "",
                )
            }
        };
        self.ranked(f, from, rank, q, phrase).await
    }

    async fn by_phrase(
        &self,
        base: &Filter,
        q: &ArticleQuery,
        phrase: &str,
    ) -> Result<Vec<Found>, StoreError> {
        let mut f = base.clone();
        let pattern = like(phrase);
        f.and(
            "(t.title LIKE ? ESCAPE '\\' OR t.plain LIKE ? ESCAPE '\\')",
            &[pattern.clone(), pattern],
        );
        let from = "article_text t JOIN article_shown c ON c.article = t.article AND c.version = t.version";
        self.ranked(f, from, "", q, phrase).await
    }

    /// The whole phrase in the title first, then in the text, then all words anywhere.
    async fn ranked(
        &self,
        mut f: Filter,
        from: &str,
        rank: &str,
        q: &ArticleQuery,
        phrase: &str,
    ) -> Result<Vec<Found>, StoreError> {
        if let Some(l) = q.lang {
            f.and("t.lang = ?", &[lang_word(l).into()]);
        }
        let order = match q.order {
            Order::Date => "c.released_at DESC, c.article DESC".to_owned(),
            Order::Relevance => {
                f.values.push(like(phrase));
                let n = f.values.len();
                format!(
                    "CASE WHEN t.title LIKE ${n} ESCAPE '\\' THEN 0 WHEN t.plain LIKE ${n} ESCAPE '\\' THEN 1 ELSE 2 END, \
                     {rank}c.released_at DESC, c.article DESC"
                )
            }
        };
        let sql = format!(
            "SELECT c.article AS article, c.version AS version, t.lang AS lang FROM {from} WHERE 1 = 1{} ORDER BY {order} LIMIT {FOUND_MAX}",
            f.sql
        );
        self.ids(sql, &f.values).await
    }

    async fn facets(&self, found: &[Found]) -> Result<Facets, StoreError> {
        let ids: std::collections::HashMap<&str, u32> =
            found.iter().map(|f| (f.id.as_str(), f.version)).collect();
        let mut out = Facets::default();
        if ids.is_empty() {
            return Ok(out);
        }
        let rows = sqlx::query(
            "SELECT article, version, kind, value, also FROM article_facet WHERE kind <> 'number'",
        )
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            let r = R("article_facet", row);
            let shown = ids.get(r.text("article")?.as_str()).copied();
            if shown.map(i64::from) != Some(r.int("version")?) {
                continue;
            }
            let list = match r.text("kind")?.as_str() {
                "region" => &mut out.region,
                "topic" => &mut out.topic,
                "source" => &mut out.source,
                "publisher" => &mut out.publisher,
                "status" => &mut out.status,
                _ => &mut out.year,
            };
            let value = r.text("value")?;
            match list.iter_mut().find(|f| f.value == value) {
                Some(f) => f.count += 1,
                None => list.push(Facet {
                    value,
                    also: r.text("also")?,
                    count: 1,
                }),
            }
        }
        for list in [
            &mut out.region,
            &mut out.topic,
            &mut out.source,
            &mut out.publisher,
            &mut out.status,
        ] {
            list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        }
        out.year.sort_by(|a, b| b.value.cmp(&a.value));
        Ok(out)
    }

    /// Clauses of published articles that a measure tracks, as known at a moment or now.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn links_of_measure(
        &self,
        measure: &MeasureId,
        known: Option<Timestamp>,
    ) -> Result<Vec<MeasureLink>, StoreError> {
        let mut f = Filter::default();
        shown(&mut f, known);
        f.and("l.measure = ?", &[measure.as_str().to_owned()]);
        let sql = format!(
            "SELECT l.article, l.version, l.anchor FROM article_link l \
             JOIN article_shown c ON c.article = l.article AND c.version = l.version \
             WHERE 1 = 1{} ORDER BY c.released_at DESC, l.article, l.anchor LIMIT 500",
            f.sql
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for v in &f.values {
            query = query.bind(v.clone());
        }
        let rows = query.fetch_all(&self.pool).await?;
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            let r = R("article_link", row);
            let id: ArticleId = r.parse("article")?;
            let titles = self
                .article_version(&id, u32::try_from(r.int("version")?).unwrap_or(0))
                .await?
                .map(|v| {
                    v.content
                        .texts
                        .into_iter()
                        .map(|t| (t.lang, t.title))
                        .collect()
                })
                .unwrap_or_default();
            out.push(MeasureLink {
                article: id,
                titles,
                anchor: r.text("anchor")?,
            });
        }
        Ok(out)
    }
}

/// A body without the signs of its markup: `# `, `- `, `> `, `{#s1.1}`, `**`, `[words](address)`.
fn plain(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    for line in body.lines() {
        let line = line.trim_start();
        let line = ["# ", "## ", "### ", "- ", "> "]
            .iter()
            .find_map(|sign| line.strip_prefix(sign))
            .unwrap_or(line);
        let mut rest = line;
        while let Some(at) = rest.find(['{', '[', ']', '*', '`']) {
            out.push_str(&rest[..at]);
            let tail = &rest[at..];
            let cut = |open: &str, shut: char| {
                let end = tail.strip_prefix(open)?.find(shut)?;
                tail.get(open.len() + end + shut.len_utf8()..)
            };
            rest = cut("{#", '}')
                .or_else(|| cut("](", ')'))
                .or_else(|| tail.strip_prefix("**"))
                .or_else(|| {
                    let sign = tail.chars().next()?;
                    let kept = matches!(sign, '{' | ']') || (sign == '[' && !tail.contains("]("));
                    if kept {
                        out.push(sign);
                    }
                    tail.get(sign.len_utf8()..)
                })
                .unwrap_or("");
        }
        out.push_str(rest);
        out.push(' ');
    }
    out
}

/// Characters of a snippet.
const SNIPPET_LEN: usize = 120;

/// Text around the first match, what was asked for marked.
fn snippet(
    summary: &str,
    body: &str,
    phrase: Option<&str>,
    terms: &[String],
) -> Vec<(bool, String)> {
    let text: String = format!("{summary} {}", plain(body))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    // One lower-case character for each, so that places are the same in both.
    let chars: Vec<char> = text.chars().collect();
    let lower: Vec<char> = chars
        .iter()
        .map(|c| c.to_lowercase().next().unwrap_or(*c))
        .collect();
    let needles: Vec<Vec<char>> = phrase
        .into_iter()
        .map(str::to_owned)
        .chain(terms.iter().cloned())
        .map(|t| t.chars().collect::<Vec<char>>())
        .filter(|n| !n.is_empty())
        .collect();
    let at = |i: usize| {
        needles
            .iter()
            .filter(|n| lower[i..].starts_with(n))
            .map(Vec::len)
            .max()
    };
    let first = (0..lower.len()).find(|i| at(*i).is_some()).unwrap_or(0);
    let start = first.saturating_sub(SNIPPET_LEN / 4);
    let end = (start + SNIPPET_LEN).min(chars.len());
    let mut out: Vec<(bool, String)> = Vec::new();
    let mut push = |mark: bool, s: &str| match out.last_mut() {
        Some((m, t)) if *m == mark => t.push_str(s),
        _ => out.push((mark, s.to_owned())),
    };
    if start > 0 {
        push(false, "…");
    }
    let mut i = start;
    while i < end {
        match at(i) {
            Some(n) => {
                let stop = (i + n).min(end);
                push(true, &chars[i..stop].iter().collect::<String>());
                i = stop;
            }
            None => {
                push(false, &chars[i].to_string());
                i += 1;
            }
        }
    }
    if end < chars.len() {
        push(false, "…");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_marks_what_was_asked() {
        let s = snippet(
            "",
            "全市推进减污降碳协同增效",
            Some("减污降碳"),
            &["减污降碳".into()],
        );
        assert_eq!(
            s,
            [
                (false, "全市推进".to_owned()),
                (true, "减污降碳".to_owned()),
                (false, "协同增效".to_owned())
            ]
        );
        // The dotted capital I grows when it is lowered; places must not move.
        let s = snippet("", "İstanbul İ air", Some("air"), &["air".into()]);
        assert_eq!(s.last(), Some(&(true, "air".to_owned())));
        assert!(snippet("", "", None, &[]).is_empty());
        let s = snippet(
            "",
            "# 一、空气 {#s1}\n\n见[账本](/zh/air/ledger)，**逐日**列出 [1] {2}。 {#s1.1}",
            None,
            &[],
        );
        assert_eq!(
            s,
            [(false, "一、空气 见账本，逐日列出 [1] {2}。".to_owned())]
        );
    }

    #[test]
    fn signs_of_like_stand_for_themselves() {
        assert_eq!(like("50%_a\\"), "%50\\%\\_a\\\\%");
    }
}
