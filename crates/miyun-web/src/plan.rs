//! The plan, readable: what needs attention, then every measure.

use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_plan::{IndicatorStatus, MeasureStatus, PlanStatus, Standing};

use crate::chart::pace_bar;
use crate::shell::tr;

/// Sign, word and colour of a standing.
#[must_use]
pub fn standing(lang: Lang, s: Standing) -> Markup {
    let (class, sign) = match s {
        Standing::Attained | Standing::OnTrack => ("good", "✓"),
        Standing::AtRisk => ("warn", "!"),
        Standing::Missed => ("bad", "×"),
        Standing::NoData | Standing::NotBound => ("none", "?"),
    };
    html! { span class={ "verdict " (class) } { (sign) " " (s.text().get(lang)) } }
}

/// The plan of a city on a day.
#[must_use]
pub fn body(lang: Lang, link: &dyn Fn(&str) -> String, s: &PlanStatus) -> Markup {
    let c = &s.coverage;
    let attention: Vec<&MeasureStatus> = s
        .measures
        .iter()
        .filter(|m| matches!(m.standing, Standing::AtRisk | Standing::Missed))
        .collect();
    html! {
        h1 { (s.title.get(lang)) }
        p.lead { (match lang {
            Lang::Zh => format!("{}：{} 项措施中 {} 项绑定了指标，{} 项有足够数据可以判定；{} 项需要关注。", s.on, c.measures, c.bound, c.judged, attention.len()),
            Lang::En => format!("{}: of {} measures {} are bound to indicators and {} have data enough to judge; {} need attention.", s.on, c.measures, c.bound, c.judged, attention.len()),
        }) }
        h2 { (tr(lang, "目标", "Targets")) }
        ul.cards { @for m in &s.measures { @for i in &m.indicators { li.card { (card(lang, link, m, i)) } } } }
        @for chapter in &s.chapters {
            h2 { (chapter.title.get(lang)) }
            div.scroll { table {
                thead { tr { th scope="col" { "#" } th scope="col" { (tr(lang, "措施", "Measure")) } th scope="col" { (tr(lang, "牵头", "Lead")) } th scope="col" { (tr(lang, "状态", "Status")) } th scope="col" { (tr(lang, "说明", "In words")) } } }
                tbody { @for m in s.measures.iter().filter(|m| m.measure.chapter == chapter.id) { tr id={ "m" (m.measure.row) } {
                    td { (m.measure.row) }
                    th scope="row" { (m.measure.title.get(lang)) br; span.soft { (m.measure.text.get(lang)) } }
                    td { (m.measure.lead.get(lang)) @if !m.measure.lead_verified { " " span.soft { (tr(lang, "（未核实）", "(not verified)")) } } }
                    td { (standing(lang, m.standing)) }
                    td { (reason(lang, m)) }
                } } }
            } }
        }
    }
}

fn reason(lang: Lang, m: &MeasureStatus) -> Markup {
    html! {
        @for i in &m.indicators { p { (i.indicator.indicator) ": " (i.words.get(lang)) } }
        @if let Some(n) = m.measure.needs.as_ref().filter(|_| m.indicators.is_empty()) { span.soft { (tr(lang, "需要的证据：", "Evidence it needs: ")) (n.get(lang)) } }
    }
}

fn card(
    lang: Lang,
    link: &dyn Fn(&str) -> String,
    m: &MeasureStatus,
    i: &IndicatorStatus,
) -> Markup {
    let value = i.figure.as_ref().and_then(|f| f.assessment.value);
    let number = |d: miyun_core::Decimal| d.to_string().parse::<f64>().unwrap_or(0.0);
    html! {
        h3 { a href={ "#m" (m.measure.row) } { (m.measure.row) } " " (i.indicator.indicator) " " (i.indicator.statistic) }
        div.value { (value.map_or("–".into(), |v| v.to_string())) " " span.unit { (i.indicator.unit) } }
        p { (standing(lang, i.standing)) }
        p { (i.words.get(lang)) }
        @if let (Some(v), Some(t)) = (value, i.target) { @if number(t) > 0.0 && i.standing < Standing::NoData {
            (pace_bar(i.elapsed, number(v) / number(t) * i.elapsed, &format!("{} {:.0} %", tr(lang, "时间已过", "time gone"), i.elapsed * 100.0)))
        } }
        p.soft {
            @if !i.target_clause.is_empty() { (i.target_clause) " · " }
            @if !i.indicator.verified { (tr(lang, "目标未核实", "target not verified")) " · " }
            @if let Some(f) = &i.figure { a href=(link(&format!("/why/{}", f.assessment.id))) { (tr(lang, "为什么", "why")) } }
        }
    }
}
