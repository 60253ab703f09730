//! The page of the one search.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_store::ArticlePage;

use super::articles::released;
use crate::failure::Failure;
use crate::search::{Hit, Kind, articles, as_hits, find};
use crate::server::{Params, Shown};
use crate::shell::{View, encode, tag};
use crate::site::Site;

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    view: View,
    Query(q): Query<Params>,
) -> Response {
    let made = make(&site, &view, q.get("q").map_or("", |t| t.trim())).await;
    super::finish(&view, made)
}

async fn make(site: &Arc<Site>, view: &View, text: &str) -> Result<Shown, Failure> {
    let text: String = text.chars().take(crate::search::QUERY_LEN_MAX).collect();
    let (of, asked) = (Arc::clone(site), text.clone());
    let hits = tokio::task::spawn_blocking(move || find(&of, &asked))
        .await
        .map_err(|e| Failure::Broken(e.to_string()))?;
    let found = articles(site, &text, view.known_at()).await?;
    let total = hits.len() as u64 + found.total;
    let title = view.tr("搜索", "Search");
    let body = html! {
        h1 { (title) @if !text.is_empty() { ": " span lang="" { (text) } } }
        @if text.is_empty() { p { (view.tr("在上面的框里写：措施、规则、站点、文章或术语。", "Write a measure, a rule, a station, an article or a term into the box above.")) } }
        @else if total == 0 { p { (view.tr("措施、规则、站点、文章和术语里都没有找到。换个说法，或少写几个字再试。", "Nothing among measures, rules, stations, articles and terms. Try other words, or fewer.")) } }
        @else { p { (match view.lang { Lang::Zh => format!("共 {total} 项"), Lang::En => format!("{total} found") })
            " · " a href={ "/api/v1/search?q=" (encode(&text)) "&format=csv" } rel="nofollow" { "CSV" } " "
            a href={ "/api/v1/search?q=" (encode(&text)) } rel="nofollow" { "JSON" } } }
        @for kind in Kind::ALL {
            @if kind == Kind::Article { (texts(view, &found, &text)) } @else { (group(view, kind, &hits)) }
        }
    };
    Ok(Shown::new(title, false, body))
}

fn group(view: &View, kind: Kind, hits: &[Hit]) -> Markup {
    let of: Vec<&Hit> = hits.iter().filter(|h| h.kind == kind).collect();
    html! { @if !of.is_empty() {
        h2 { (kind.name().get(view.lang)) }
        ul { @for h in of { li lang=[(kind == Kind::Term).then_some("")] { a href=(view.link(&h.link)) { (h.title.get(view.lang)) } } } }
    } }
}

/// Articles with the words around what was found.
fn texts(view: &View, found: &ArticlePage, text: &str) -> Markup {
    let now = jiff::Timestamp::now();
    html! { @if found.total > 0 {
        h2 { (Kind::Article.name().get(view.lang)) }
        ul { @for (hit, h) in as_hits(found).iter().zip(&found.hits) { li {
            a href=(view.link(&hit.link)) { (hit.title.get(view.lang)) }
            @if let Some(v) = &h.article.current { " " span.soft { (released(view, v.content.released_at, now)) } }
            @if !h.snippet.is_empty() { br; span lang=(tag(h.lang)) { @for (marked, part) in &h.snippet { @if *marked { mark { (part) } } @else { (part) } } } }
        } } }
        p { a href=(view.link(&format!("/articles?q={}", encode(text)))) { (match view.lang {
            Lang::Zh => format!("在文章全文中筛选这 {} 篇", found.total),
            Lang::En => format!("Filter these {} among the articles", found.total),
        }) } }
    } }
}
