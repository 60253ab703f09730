//! One search over stations, measures, rules and terms; articles have their own list.

use maud::{Markup, html};

use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::{View, encode};
use crate::site::Site;
use crate::terms::TERMS;

/// Hits of one kind that are shown.
const MOST: usize = 20;

pub(super) fn page(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let lang = view.lang;
    let text: String = q
        .get("q")
        .map_or("", String::as_str)
        .trim()
        .chars()
        .take(120)
        .collect();
    let words: Vec<String> = text
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let hit = |parts: &[&str]| {
        let all = parts.join(" ").to_lowercase();
        !words.is_empty() && words.iter().all(|w| all.contains(w))
    };
    let places: Vec<(String, String)> = site
        .lake()
        .subjects()
        .into_iter()
        .filter(|s| {
            let d = s.district.as_ref();
            hit(&[
                s.id.as_str(),
                &s.name.zh,
                &s.name.en,
                d.map_or("", |d| &d.zh),
                d.map_or("", |d| &d.en),
            ])
        })
        .take(MOST)
        .map(|s| {
            let link = if s.part_of.is_some() {
                format!("/air/station/{}", s.id)
            } else {
                format!("/air?city={}", s.id)
            };
            (link, s.name.get(lang).to_owned())
        })
        .collect();
    let measures: Vec<(String, String)> = site
        .plans
        .iter()
        .flat_map(|p| p.measures.iter().map(move |m| (p, m)))
        .filter(|(_, m)| {
            hit(&[
                &m.row,
                &m.title.zh,
                &m.title.en,
                &m.text.zh,
                &m.text.en,
                &m.lead.zh,
            ])
        })
        .take(MOST)
        .map(|(p, m)| {
            (
                format!("/plan/{}/{}", p.id, m.row),
                format!("{} {}", m.row, m.title.get(lang)),
            )
        })
        .collect();
    let rules: Vec<(String, String)> = site
        .book
        .instruments()
        .iter()
        .filter(|i| hit(&[i.id.as_str(), &i.title.zh, &i.title.en]))
        .take(MOST)
        .map(|i| {
            (
                format!("/rules/{}", i.id),
                format!("{} {}", i.id, i.title.get(lang)),
            )
        })
        .collect();
    let terms: Vec<(String, String)> = TERMS
        .iter()
        .filter(|t| hit(&[t.zh, t.en]))
        .take(MOST)
        .map(|t| {
            let main = t.en.split('|').next().unwrap_or(t.en);
            ("/glossary".into(), format!("{} · {main}", t.zh))
        })
        .collect();
    let found = places.len() + measures.len() + rules.len() + terms.len();
    let title = view.tr("搜索", "Search");
    let body = html! {
        h1 { (title) @if !text.is_empty() { ": " (text) } }
        @if text.is_empty() { p { (view.tr("在上面的框里写：站点、措施、规则或术语。", "Write a station, a measure, a rule or a term into the box above.")) } }
        @else if found == 0 { p { (view.tr("站点、措施、规则和术语里都没有找到。", "Nothing among stations, measures, rules and terms.")) } }
        @if !text.is_empty() { p { a href=(view.link(&format!("/articles?q={}", encode(&text)))) { (view.tr("在文章全文中搜索", "Search the full text of the articles")) } } }
        (group(view, view.tr("站点与城市", "Stations and cities"), &places))
        (group(view, view.tr("措施", "Measures"), &measures))
        (group(view, view.tr("规则", "Rules"), &rules))
        (group(view, view.tr("术语", "Terms"), &terms))
    };
    Ok(Shown::new(title, false, body))
}

fn group(view: &View, title: &str, hits: &[(String, String)]) -> Markup {
    html! { @if !hits.is_empty() {
        h2 { (title) }
        ul { @for (link, text) in hits { li { a href=(view.link(link)) { (text) } } } }
    } }
}
