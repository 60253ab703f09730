//! The air report: one HTML file without links to anything, complete on paper.

pub(crate) mod charts;
pub mod doubts;

use maud::{Markup, html};
use miyun_air::AnnualValue;
use miyun_air::trend::Trends;
use miyun_assess::air::AirEvaluation;
use miyun_assess::trace::unverified;
use miyun_core::text::Lang;
use miyun_core::{Assessment, Decimal, Verdict};
use miyun_lake::FindingRow;
use miyun_rulebook::Rulebook;

use crate::said::{say, stage};
use crate::shell::{standalone, tr};

/// The report of one city and period under one or more editions, the first one in full; `findings`
/// are what the data forensics say of these days.
#[must_use]
pub fn air(
    lang: Lang,
    book: &Rulebook,
    evaluations: &[AirEvaluation],
    findings: &[FindingRow],
) -> String {
    let Some(ev) = evaluations.first() else {
        return String::new();
    };
    let city = ev.city.subject.name.get(lang);
    let title = format!(
        "{city} · {} · {}",
        tr(lang, "环境空气质量评价", "ambient air assessment"),
        ev.request.period
    );
    standalone(
        lang,
        &title,
        ev.simulated(),
        body_with(
            lang,
            book,
            evaluations,
            &title,
            &doubts::section(lang, findings),
        ),
    )
    .into_string()
}

/// The inside of the report, also shown as a page.
#[must_use]
pub fn body(lang: Lang, book: &Rulebook, evaluations: &[AirEvaluation], title: &str) -> Markup {
    body_with(lang, book, evaluations, title, &html! {})
}

/// As [`body`], with a section about the data before the reasons, for example
/// [`doubts::section`].
#[must_use]
pub fn body_with(
    lang: Lang,
    book: &Rulebook,
    evaluations: &[AirEvaluation],
    title: &str,
    about_data: &Markup,
) -> Markup {
    let Some(ev) = evaluations.first() else {
        return html! {};
    };
    html! {
        h1 { (title) }
        p.lead { (sentence(lang, ev)) }
        (declared(lang, ev))
        h2 { (tr(lang, "年评价项目", "Annual items")) }
        (cards(lang, ev))
        @if evaluations.len() > 1 {
            h2 { (tr(lang, "各版标准之下", "Under each edition")) }
            (editions(lang, evaluations))
        }
        h2 { (tr(lang, "每一天", "Day by day")) }
        (charts::calendar(lang, ev))
        (charts::levels(lang, ev))
        h2 { (tr(lang, "每一月", "Month by month")) }
        @for k in 0..ev.edition.edition.annual.len() {
            @if ev.edition.edition.annual[k].item.percentile.is_none() || ["CO", "O3"].contains(&ev.edition.edition.annual[k].item.indicator.as_str()) { (charts::months(lang, ev, k)) }
        }
        h2 { (tr(lang, "超标日", "Days above the daily limit")) }
        (charts::exceedances(lang, ev))
        h2 { (tr(lang, "站点", "Stations")) }
        (stations(lang, ev))
        h2 { (tr(lang, "趋势", "Trends")) }
        (trends(lang, ev))
        (about_data)
        h2 { (tr(lang, "为什么", "Why")) }
        p { (tr(lang, "下面是城市每一项的推导、规则与数据。站点各项可用 miyun why 编号 查询。", "The derivation, rules and rows of each figure of the city. For those of a station: miyun why ID.")) }
        @for a in ev.assessments.iter().filter(|a| a.subject == ev.city.subject.id) { (why(lang, book, a)) }
    }
}

pub(crate) fn sentence(lang: Lang, ev: &AirEvaluation) -> String {
    let items = &ev.city.items;
    let (mut met, mut over, mut short) = (0, 0, 0);
    for i in items {
        match (i.valid, i.attained) {
            (false, _) | (_, None) => short += 1,
            (true, Some(true)) => met += 1,
            (true, Some(false)) => over += 1,
        }
    }
    let c = &ev.city.counts;
    let percent = c.good_percent.map_or("–".to_owned(), |p| p.to_string());
    match lang {
        Lang::Zh => format!(
            "{} 项达标，{over} 项超标，{short} 项数据不足；优良 {} 天（{percent} %），重污染 {} 天，另有 {} 天未发布指数。",
            met, c.good, c.heavy, c.not_published
        ),
        Lang::En => format!(
            "{met} items attained, {over} exceeded, {short} without enough data. {} good days ({percent} %), {} heavy days; {} days without a published index.",
            c.good, c.heavy, c.not_published
        ),
    }
}

pub(crate) fn declared(lang: Lang, ev: &AirEvaluation) -> Markup {
    let doubts = unverified(&ev.edition);
    html! {
        dl.pairs {
            dt { (tr(lang, "依据", "Edition")) }
            dd { (crate::words::word(lang, &ev.edition.name)) " (" (tr(lang, "法律状态截至", "law as of")) " " (ev.edition.as_of) "): " @for (k, i) in ev.edition.edition.instruments.iter().enumerate() { @if k > 0 { ", " } span.code { (i) } } }
            dt { (tr(lang, "功能区类别", "Class of place")) } dd { (ev.edition.edition.class) @if let Some(s) = &ev.edition.edition.stage { ", " (tr(lang, "阶段", "stage")) " " (stage(lang, s)) } }
            @for d in &ev.declared { dt { (tr(lang, "声明", "Declared")) } dd { (say(lang, d)) } }
        }
        @if !doubts.is_empty() {
            details.note { summary { "⚠ " (tr(lang, "本评价用到未经原文核实的规则", "This assessment rests on rules that nobody read in the law itself")) " (" (doubts.len()) ")" }
                ul { @for d in &doubts { li.code { (d) } } }
            }
        }
    }
}

/// A verdict with sign, word and colour.
#[must_use]
pub fn verdict(lang: Lang, v: &Verdict) -> Markup {
    let (class, text) = match v {
        Verdict::Attained => ("good", tr(lang, "✓ 达标", "✓ attained")),
        Verdict::Exceeded => ("bad", tr(lang, "× 超标", "× exceeded")),
        Verdict::Insufficient => ("none", tr(lang, "? 数据不足", "? too few data")),
        Verdict::Exempt => ("none", tr(lang, "不适用", "exempt")),
        Verdict::NeedsJudgement => ("warn", tr(lang, "需人工判断", "needs judgement")),
        Verdict::Figure => ("none", tr(lang, "数值", "figure")),
        Verdict::Outcome(o) => return html! { span.verdict.none { (o) } },
    };
    html! { span class={ "verdict " (class) } { (text) } }
}

pub(crate) fn statistic(lang: Lang, a: &Assessment) -> String {
    Rulebook::embedded()
        .vocabulary()
        .statistic(a.statistic.as_str())
        .map_or(a.statistic.to_string(), |s| s.name.get(lang).to_owned())
}

fn shown(v: Option<Decimal>) -> String {
    v.map_or("–".to_owned(), |v| v.to_string())
}

fn cards(lang: Lang, ev: &AirEvaluation) -> Markup {
    html! { ul.cards { @for (k, item) in ev.city.items.iter().enumerate() {
        @if let Some(a) = ev.assessment(&ev.city.subject.id, k) { li.card {
            h3 { (a.indicator) " " (statistic(lang, a)) }
            div.value { (shown(a.value)) " " span.unit { (a.unit) } }
            p { (verdict(lang, &a.verdict)) " · " (tr(lang, "限值", "limit")) " " (shown(a.limit))
                @if a.exceedance.is_some_and(|e| !e.is_zero()) { " · " (tr(lang, "超标", "over by")) " " (shown(a.exceedance)) (tr(lang, " 倍", " times the limit")) } }
            (sufficiency(lang, item, a))
            p.soft { a href={ "#" (a.id) } { (tr(lang, "为什么", "why")) } }
        } }
    } } }
}

fn sufficiency(lang: Lang, item: &AnnualValue, a: &Assessment) -> Markup {
    html! {
        @if a.sufficiency.valid { p.soft { (item.days) " " (tr(lang, "个有效日", "valid days")) } }
        @else { p.soft { (tr(lang, "无效：", "not valid: ")) (item.days) " / " (a.sufficiency.need) " " (tr(lang, "日", "days")) @if !a.sufficiency.missing.is_empty() { "; " (a.sufficiency.missing.join("; ")) } } }
    }
}

fn editions(lang: Lang, evaluations: &[AirEvaluation]) -> Markup {
    let first = &evaluations[0];
    html! { div.scroll tabindex="0" { table {
        thead { tr {
            th scope="col" { (tr(lang, "项目", "Item")) } th.n scope="col" { (tr(lang, "值", "Value")) }
            @for ev in evaluations { th scope="col" { (ev.edition.name) } }
        } }
        tbody {
            @for (k, _) in first.city.items.iter().enumerate() { @if let Some(a) = first.assessment(&first.city.subject.id, k) { tr {
                th scope="row" { (a.indicator) " " (statistic(lang, a)) } td.n { (shown(a.value)) " " (a.unit) }
                @for ev in evaluations { td { @if let Some(b) = ev.assessment(&ev.city.subject.id, k) { (verdict(lang, &b.verdict)) " (" (shown(b.limit)) ")" } } }
            } } }
            tr { th scope="row" { (tr(lang, "优良天数", "Good days")) } td {} @for ev in evaluations { td { (ev.city.counts.good) @if let Some(p) = ev.city.counts.good_percent { " (" (p) " %)" } } } }
            tr { th scope="row" { (tr(lang, "重污染天数", "Heavy days")) } td {} @for ev in evaluations { td { (ev.city.counts.heavy) } } }
        }
    } } }
}

fn stations(lang: Lang, ev: &AirEvaluation) -> Markup {
    let items: Vec<usize> = (0..ev.edition.edition.annual.len()).collect();
    let name = |k: usize| {
        let i = &ev.edition.edition.annual[k].item;
        format!(
            "{} {}",
            i.indicator,
            i.percentile
                .map_or(tr(lang, "均值", "mean").to_owned(), |p| format!("p{p}"))
        )
    };
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (tr(lang, "站点", "Station")) }
                @for k in &items { th.n scope="col" { (name(*k)) } }
                th.n scope="col" { (tr(lang, "优良", "Good")) } th.n scope="col" { (tr(lang, "重污染", "Heavy")) } th.n scope="col" { (tr(lang, "综合指数", "Index")) }
            } }
            tbody { @for p in ev.places() { tr {
                th scope="row" { (p.subject.name.get(lang)) @if p.control { " " span.soft { (tr(lang, "（对照点）", "(control)")) } } }
                @for k in &items { (station_cell(lang, &p.items[*k])) }
                td.n { (p.counts.good) } td.n { (p.counts.heavy) } td.n { (shown(p.composite)) }
            } } }
        } }
        p.soft { (tr(lang, "× 超标；( ) 数据不足，数值仅供参考；对照点不参加城市均值。", "× exceeded; ( ) not valid, shown for information; control stations take no part in the city mean.")) }
    }
}

fn station_cell(lang: Lang, v: &AnnualValue) -> Markup {
    let value = shown(v.rounded);
    html! { td.n {
        @if !v.valid { "(" (value) ")" } @else { (value) }
        @if v.attained == Some(false) { " " span.verdict.bad title=(tr(lang, "超标", "exceeded")) { "×" } }
    } }
}

pub(crate) fn trends(lang: Lang, ev: &AirEvaluation) -> Markup {
    let rows: Vec<(usize, Trends)> = (0..ev.edition.edition.annual.len())
        .filter(|k| {
            ev.edition.edition.annual[*k].item.percentile.is_none()
                || ["CO", "O3"].contains(&ev.edition.edition.annual[*k].item.indicator.as_str())
        })
        .map(|k| (k, miyun_air::trend::trends(&ev.months(&ev.city, k))))
        .collect();
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (tr(lang, "项目", "Indicator")) } th.n scope="col" { (tr(lang, "月数", "Months")) } th.n scope="col" { (tr(lang, "季节 Sen 斜率（每年）", "Seasonal Sen slope a year")) } th.n scope="col" { (tr(lang, "95 % 区间", "95 % interval")) } th.n scope="col" { "p" } th scope="col" { (tr(lang, "说法", "In words")) } } }
            tbody { @for (k, t) in rows { tr {
                th scope="row" { (ev.edition.edition.annual[k].item.indicator) }
                td.n { (t.months) }
                @if let Some(s) = &t.seasonal {
                    td.n { (format!("{:+.2}", s.slope_per_year)) } td.n { (format!("{:+.2} … {:+.2}", s.low, s.high)) } td.n { (format!("{:.3}", s.p)) }
                    td { @if s.p >= 0.05 { (tr(lang, "与零无显著差别", "not distinguishable from zero")) } @else if s.slope_per_year < 0.0 { (tr(lang, "下降", "falling")) } @else { (tr(lang, "上升", "rising")) } }
                } @else { td.n { "–" } td.n { "–" } td.n { "–" } td { (tr(lang, "月份不足", "too few months")) } }
            } } }
        } }
        p.soft { (tr(lang, "按月均值的季节 Mann-Kendall 检验；不按季节的斜率在四年以内没有意义，故不列。", "Seasonal Mann-Kendall test of monthly means over the whole record; an unseasonal slope says nothing over a few years and is not shown.")) }
    }
}

/// One figure with its chain, folded.
#[must_use]
pub fn why(lang: Lang, book: &Rulebook, a: &Assessment) -> Markup {
    html! { details id=(a.id) {
        summary { (a.indicator) " " (statistic(lang, a)) " " (a.period) ": " (shown(a.value)) " " (a.unit) " " (verdict(lang, &a.verdict)) }
        (chain(lang, book, a, &|i| format!("#{i}")))
    } }
}

/// The chain of a figure: derivation, rules with clauses and citations, rows with digests.
#[must_use]
pub fn chain(lang: Lang, book: &Rulebook, a: &Assessment, link: &dyn Fn(&str) -> String) -> Markup {
    html! {
        h3 { (tr(lang, "推导", "Derivation")) }
        ol.chain { @for s in &a.trace.steps { li { (say(lang, &s.what)) " → " strong { (say(lang, &s.result)) } } } }
        h3 { (tr(lang, "规则", "Rules")) }
        ul { @for r in &a.trace.rules { li {
            (r.role) ": " (say(lang, &r.says)) br;
            @if link("").starts_with('#') { span.code { (r.rule) } } @else { a.code href=(link(&format!("/rules/{}#table-{}", r.rule.instrument, r.rule.table))) { (r.rule) } }
            @if let Some(i) = book.instrument(r.rule.instrument.as_str()) { @if let Some(t) = i.table(&r.rule.table) { @for c in i.citations.iter().filter(|c| t.citations.contains(&c.id)) { br; span.soft { (c.title) } } } }
        } } }
        h3 { (tr(lang, "数据", "Evidence")) }
        ul { @for e in &a.trace.evidence { li { (e.subject) " " (e.indicator) " " (e.period) ": " (e.rows) " " (tr(lang, "行", "rows")) ", blake3 " span.code { (e.digest) } } } }
        p.soft { (tr(lang, "方法", "Method")) " " (a.trace.method.name) " " (a.trace.method.version) "; " (a.trace.declared.join("; ")) "; " (tr(lang, "编号", "id")) " " span.code { (a.id) } }
    }
}
