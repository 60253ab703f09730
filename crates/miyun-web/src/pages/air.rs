//! The air of a city over a year: the template of the quality pages.

use std::sync::Arc;

use maud::{Markup, html};
use miyun_air::annual::date_of;
use miyun_assess::air::AirEvaluation;
use miyun_core::text::Lang;
use miyun_core::{Period, Verdict};

use super::year_to;
use crate::failure::Failure;
use crate::report::{self, charts};
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;

/// The year asked for, or the last one with data.
pub(super) fn year(q: &Params, first: i16, last: i16) -> Result<i16, Failure> {
    match q.get("year").filter(|y| !y.is_empty()) {
        None => Ok(last),
        Some(y) => match y.parse::<i16>() {
            Ok(y) if (first..=last).contains(&y) => Ok(y),
            Ok(y) => Err(Failure::NotFound(format!(
                "there are no data of {y}: there are data from {first} to {last}"
            ))),
            Err(_) => Err(Failure::Bad(format!("{y:?} is no year"))),
        },
    }
}

pub(super) fn page(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let lang = view.lang;
    let city = site.city(q.get("city").map(String::as_str))?;
    let record = site.record(&city.id, &view.known)?;
    let (first, last) = (record.first_day, Site::last_day(&record));
    let year = year(q, first.year(), last.year())?;
    let edition = q
        .get("edition")
        .filter(|e| !e.is_empty())
        .map_or("in-force", String::as_str);
    let period = year_to(year, last).ok_or_else(|| Failure::Bad("year".into()))?;
    let ev = site.evaluation(&city.id, period, edition, &view.known)?;
    let before = Period::year(year - 1)
        .filter(|p| p.from.is_some_and(|f| f >= first))
        .and_then(|p| site.evaluation(&city.id, p, edition, &view.known).ok());
    let mut others: Vec<Arc<AirEvaluation>> = Vec::new();
    for e in site.book.editions().iter().filter(|e| e.medium == "air") {
        others.push(site.evaluation(&city.id, period, &e.id, &view.known)?);
    }
    let title = format!(
        "{} · {} {year}",
        city.name.get(lang),
        view.tr("空气", "air")
    );
    let body = html! {
        h1 { (title) }
        (choose(site, view, first.year(), last.year(), year, edition))
        p.lead { (report::sentence(lang, &ev)) @if last < period_end(year) { " " span.soft { (match lang { Lang::Zh => format!("（数据至 {last}）"), Lang::En => format!("(data until {last})") }) } } }
        (latest(view, &ev))
        h2 { (view.tr("年评价项目", "Annual items")) }
        (cards(view, &ev))
        h2 { (view.tr("每一天", "Day by day")) }
        (charts::calendar(lang, &ev))
        (charts::levels(lang, &ev))
        h2 { (view.tr("每一月", "Month by month")) }
        @for (n, k) in items(&ev).into_iter().enumerate() {
            @if n < 2 { (charts::months(lang, &ev, k)) } @else {
                details { summary { (show::indicator(lang, ev.edition.edition.annual[k].item.indicator.as_str())) } (charts::months(lang, &ev, k)) }
            }
        }
        p { a href=(view.link(&format!("/air/ledger?year={year}"))) { (view.tr("0.1 微克账本：这一年的平均值花在哪些天", "The 0.1 microgram ledger: which days this year's mean was spent on")) } }
        h2 { (view.tr("超标日", "Days above the daily limit")) }
        (charts::exceedances(lang, &ev))
        (standards(view, &ev, &others, edition))
        h2 { (view.tr("站点", "Stations")) }
        (stations(view, &ev, before.as_deref(), q))
        h2 { (view.tr("趋势", "Trends")) }
        (report::trends(lang, &ev))
        h2 { (view.tr("声明与下载", "Declared, and downloads")) }
        (report::declared(lang, &ev))
        (downloads(view, &[("air/items", "年评价项目", "Annual items"), ("air/days", "每日数值", "Days"), ("air/hours", "小时值", "Hours")], &format!("city={}&period={year}&edition={edition}", city.id)))
    };
    Ok(Shown::new(title, ev.simulated(), body))
}

fn period_end(year: i16) -> miyun_core::Date {
    Period::year(year)
        .and_then(|p| p.until)
        .unwrap_or(miyun_core::Date::MAX)
}

/// Items with a chart of their own, fine particles and ozone first.
fn items(ev: &AirEvaluation) -> Vec<usize> {
    let e = &ev.edition.edition;
    let mut out: Vec<usize> = (0..e.annual.len())
        .filter(|k| {
            let i = &e.annual[*k].item;
            i.percentile.is_none() || ["CO", "O3"].contains(&i.indicator.as_str())
        })
        .collect();
    out.sort_by_key(|k| match e.annual[*k].item.indicator.as_str() {
        "PM2.5" => 0,
        "O3" => 1,
        "PM10" => 2,
        "NO2" => 3,
        _ => 4,
    });
    out
}

fn choose(site: &Site, view: &View, first: i16, last: i16, year: i16, edition: &str) -> Markup {
    html! {
        form.inline method="get" {
            label { (view.tr("年份", "Year")) " " select name="year" { @for y in (first..=last).rev() { option value=(y) selected[y == year] { (y) } } } }
            label { (view.tr("标准版本", "Edition")) " " select name="edition" {
                option value="in-force" selected[edition == "in-force"] { (view.tr("当时有效的版本", "the edition in force")) }
                @for e in site.book.editions().iter().filter(|e| e.medium == "air") { option value=(e.id) selected[edition == e.id] { (e.title.get(view.lang)) } }
            } }
            @if let Some(k) = &view.known { input type="hidden" name="known" value=(k); }
            button { (view.tr("显示", "Show")) }
        }
    }
}

/// The last day with an index.
fn latest(view: &View, ev: &AirEvaluation) -> Markup {
    let range = ev.range();
    let Some((d, index)) = range
        .clone()
        .rev()
        .map(|d| (d, &ev.city.indices[d]))
        .find(|(_, i)| i.aqi.is_some())
    else {
        return html! {};
    };
    let date = date_of(ev.first_day, d);
    let level = index.level.unwrap_or(1);
    let words = ev
        .edition
        .edition
        .levels
        .iter()
        .find(|l| l.value.level == u32::from(level));
    let primary: Vec<String> = ev
        .edition
        .edition
        .primary_names(index)
        .iter()
        .map(|n| show::indicator(view.lang, n.as_str()))
        .collect();
    html! {
        p { (view.tr("最近一天 ", "Latest day ")) a href=(view.link(&format!("/map?at={date}"))) { (date) } ": AQI " strong { (index.aqi.map_or(String::new(), |a| a.to_string())) } " "
            @if let Some(w) = words { (show::level(w.value.name.get(view.lang), level)) }
            @if !primary.is_empty() { " · " (view.tr("首要污染物", "primary pollutant")) " " (primary.join(" + ")) }
        }
    }
}

fn cards(view: &View, ev: &AirEvaluation) -> Markup {
    let lang = view.lang;
    html! { ul.cards { @for (k, item) in ev.city.items.iter().enumerate() {
        @if let Some(a) = ev.assessment(&ev.city.subject.id, k) { li.card {
            h3 { (show::indicator(lang, a.indicator.as_str())) " " span.soft { (show::statistic(lang, a.statistic.as_str())) } }
            div.value { (show::figure_unit(view, a)) }
            p { (show::verdict(lang, &a.verdict)) " · " (view.tr("限值", "limit")) " " (show::value(a.limit))
                @if a.exceedance.is_some_and(|e| !e.is_zero()) { " · " (view.tr("超标", "over by")) " " (show::value(a.exceedance)) (view.tr(" 倍", " times the limit")) } }
            @if a.sufficiency.valid { p.soft { (item.days) " " (view.tr("个有效日", "valid days")) } }
            @else { p.soft { (view.tr("有效日 ", "valid days ")) (item.days) "/" (a.sufficiency.need) @for m in &a.sufficiency.missing { " · " (crate::said::say(lang, m)) } } }
        } }
    } } }
}

/// Which limit, which edition, computed by which rule, and what the other editions would say.
fn standards(
    view: &View,
    ev: &AirEvaluation,
    others: &[Arc<AirEvaluation>],
    edition: &str,
) -> Markup {
    let lang = view.lang;
    html! {
        section.box aria-labelledby="standards" {
            h2 id="standards" { (view.tr("适用标准", "Standards that apply")) }
            p { (view.tr("本页依据 ", "This page follows ")) @for (k, i) in ev.edition.edition.instruments.iter().enumerate() { @if k > 0 { ", " } a href=(view.link(&format!("/rules/{i}"))) { (i) } }
                @if let Some(s) = &ev.edition.edition.stage { " (" (crate::said::stage(lang, s)) ")" } " · " (view.tr("功能区类别", "class of place")) " " (ev.edition.edition.class) }
            nav.chips aria-label=(view.tr("换一个版本看", "Read under another edition")) {
                a href={ (view.with(&[("edition", "")])) "#standards" } aria-current=[(edition == "in-force").then_some("true")] { (view.tr("当时有效", "in force")) }
                @for o in others { a href={ (view.with(&[("edition", &o.edition.name)])) "#standards" } aria-current=[(edition == o.edition.name).then_some("true")] { (o.edition.name) } }
            }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("项目", "Item")) } th.n scope="col" { (view.tr("数值", "Value")) }
                    @for o in others { th scope="col" { (o.edition.name) } } } }
                tbody {
                    @for (k, _) in ev.city.items.iter().enumerate() { @if let Some(a) = ev.assessment(&ev.city.subject.id, k) { tr {
                        th scope="row" { (show::indicator(lang, a.indicator.as_str())) " " span.soft { (show::statistic(lang, a.statistic.as_str())) } }
                        td.n { (show::figure_unit(view, a)) }
                        @for o in others { td { @match o.assessments.iter().find(|b| b.subject == a.subject && b.indicator == a.indicator && b.statistic == a.statistic) {
                            Some(b) => { (show::verdict(lang, &b.verdict)) " " a.soft href=(view.link(&format!("/why/{}", b.id))) { "≤ " (show::value(b.limit)) } }
                            None => { "–" }
                        } } }
                    } } }
                    tr { th scope="row" { (view.tr("优良天数", "Good days")) } td {} @for o in others { td { (o.city.counts.good) @if let Some(p) = o.city.counts.good_percent { " (" (p) " %)" } } } }
                    tr { th scope="row" { (view.tr("重污染天数", "Heavy days")) } td {} @for o in others { td { (o.city.counts.heavy) } } }
                }
            } }
        }
    }
}

/// Stations with their change on the year before, sortable by links.
fn stations(view: &View, ev: &AirEvaluation, before: Option<&AirEvaluation>, q: &Params) -> Markup {
    let lang = view.lang;
    let e = &ev.edition.edition;
    let sort = q.get("sort").map_or("-PM2.5", String::as_str);
    let (key, down) = sort.strip_prefix('-').map_or((sort, false), |k| (k, true));
    let columns: Vec<usize> = (0..e.annual.len())
        .filter(|k| {
            e.annual[*k].item.percentile.is_none()
                || ["CO", "O3"].contains(&e.annual[*k].item.indicator.as_str())
        })
        .collect();
    let name = |k: usize| e.annual[k].item.indicator.to_string();
    let mut places: Vec<_> = ev.stations.iter().collect();
    places.sort_by(|a, b| {
        let order = match columns.iter().find(|k| name(**k) == key) {
            Some(k) => a.items[*k].rounded.cmp(&b.items[*k].rounded),
            None if key == "good" => a.counts.good.cmp(&b.counts.good),
            None => a.subject.name.get(lang).cmp(b.subject.name.get(lang)),
        };
        if down { order.reverse() } else { order }
    });
    let change = |p: &miyun_assess::air::PlaceResult, k: usize| -> Option<miyun_core::Decimal> {
        let old = before?
            .stations
            .iter()
            .find(|o| o.subject.id == p.subject.id)?;
        Some(p.items.get(k)?.rounded? - old.items.get(k)?.rounded?)
    };
    html! {
        div.scroll tabindex="0" { table.sortable {
            caption { (view.tr("括号内为与上年全年之差；对照点不参加城市均值。", "In brackets the change on the whole year before; control stations take no part in the city mean.")) }
            thead { tr {
                (show::sort_head(view, "name", view.tr("站点", "Station"), sort, false))
                @for k in &columns { (show::sort_head(view, &name(*k), &show::indicator(lang, &name(*k)), sort, true)) }
                (show::sort_head(view, "good", view.tr("优良天数", "Good days"), sort, true))
                th.n scope="col" { (view.tr("重污染", "Heavy")) }
            } }
            tbody { @for p in places { tr {
                th scope="row" { a href=(view.link(&format!("/air/station/{}", p.subject.id))) { (p.subject.name.get(lang)) } @if p.control { " " span.soft { (view.tr("（对照点）", "(control)")) } } }
                @for k in &columns { td.n {
                    @match ev.assessment(&p.subject.id, *k) { Some(a) => {
                        (show::figure(view, a)) @if a.verdict == Verdict::Exceeded { " " span.verdict.bad title=(view.tr("超标", "exceeded")) { "×" } } @if !a.sufficiency.valid { " " span.soft title=(view.tr("有效日不足", "too few valid days")) { "?" } }
                    } None => { "–" } }
                    @if let Some(c) = change(p, *k) { " " span.soft { "(" (format!("{c:+}")) ")" } }
                } }
                td.n { (p.counts.good) } td.n { (p.counts.heavy) }
            } } }
        } }
    }
}

/// The tables of the air as files.
pub(super) fn downloads(
    view: &View,
    tables: &[(&str, &'static str, &'static str)],
    query: &str,
) -> Markup {
    let files: Vec<show::File> = tables
        .iter()
        .map(|(path, zh, en)| (format!("/api/v1/{path}?{query}"), *zh, *en))
        .collect();
    show::downloads(view, &files)
}
