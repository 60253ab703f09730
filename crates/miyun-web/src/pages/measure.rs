//! One measure of a plan: what it asks, where its indicators stand, what would bind it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::{Markup, html};
use miyun_air::annual::{date_of, day_range};
use miyun_assess::air::AirEvaluation;
use miyun_core::text::Lang;
use miyun_plan::{IndicatorStatus, Plan};
use miyun_store::MeasureLink;

use super::at;
use super::home::{card, plan, standing, year_so_far};
use crate::chart::{Line, LineChart, Mark};
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;

/// The page, with the clauses that the measure tracks.
pub(super) async fn with_clauses(
    State(site): State<Arc<Site>>,
    view: View,
    Path(path): Path<(String, String, String)>,
    Query(q): Query<Params>,
) -> Response {
    let clauses = match (
        site.store(),
        format!("{}/{}", path.1, path.2).parse::<miyun_core::MeasureId>(),
    ) {
        (Some(s), Ok(id)) => s
            .links_of_measure(&id, view.known_at())
            .await
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    crate::server::shown(view, move |v| page(&site, v, &q, &path, &clauses)).await
}

fn page(
    site: &Site,
    view: &View,
    q: &Params,
    (_, plan_id, row): &(String, String, String),
    clauses: &[MeasureLink],
) -> Result<Shown, Failure> {
    let plan = plan(site, Some(plan_id))?;
    let on = at(q, site.today())?;
    let status = site.plan_state(plan, on, &view.known);
    let m = status
        .measures
        .iter()
        .find(|m| m.measure.row == *row)
        .ok_or_else(|| Failure::NotFound(format!("the plan has no measure {row:?}")))?;
    let air = year_so_far(site, view, plan, on);
    let chapter = plan
        .chapters
        .iter()
        .find(|c| c.id == m.measure.chapter)
        .map_or("", |c| c.title.get(view.lang));
    let lang = view.lang;
    let around: Vec<&str> = plan.measures.iter().map(|m| m.row.as_str()).collect();
    let here = around.iter().position(|r| r == row).unwrap_or(0);
    let body = html! {
        p.crumbs { a href=(view.link(&format!("/?plan={}#m{row}", plan.id))) { (plan.title.get(lang)) } " › " (chapter) }
        h1 { (row) " " (m.measure.title.get(lang)) }
        p.lead { (m.measure.text.get(lang)) }
        dl.pairs {
            dt { (view.tr("状态", "Status")) } dd { (standing(lang, m.standing)) " " span.soft { (on) } }
            dt { (view.tr("牵头", "Lead")) } dd { (m.measure.lead.get(lang)) @if !m.measure.lead_verified { " " span.soft { (view.tr("（未核实）", "(not verified)")) } } }
            dt { (view.tr("编号", "Id")) } dd { span.code { (m.measure.id) } }
            @if let Some(n) = &m.measure.needs { dt { (view.tr("需要的证据", "Evidence it needs")) } dd { (n.get(lang)) } }
        }
        @if m.indicators.is_empty() {
            p.note { (view.tr("这项措施还没有绑定指标，因此没有数字。", "This measure is not bound to an indicator yet, so there is no figure.")) }
        } @else {
            h2 { (view.tr("指标", "Indicators")) }
            ul.cards.targets { @for i in &m.indicators { li.card { (card(view, plan, m, i, air.as_deref())) @if let Some(p) = i.period { p.soft { (view.tr("期间", "Period")) " " (p) } } } } }
            @if let Some(ev) = &air { @for i in &m.indicators { (path(view, ev, i)) } }
            (targets(view, plan, &m.indicators))
        }
        @if !clauses.is_empty() {
            h2 { (view.tr("它跟踪的条款", "Clauses that it tracks")) }
            ul { @for c in clauses { li {
                a href=(view.link(&format!("/articles/{}#{}", c.article, c.anchor))) {
                    (c.titles.iter().find(|t| t.0 == lang).or(c.titles.first()).map_or("", |t| t.1.as_str())) " " (c.anchor) }
            } } }
        }
        nav.chips aria-label=(view.tr("其他措施", "Other measures")) {
            @if here > 0 { a href=(view.link(&format!("/plan/{}/{}", plan.id, around[here - 1]))) { "‹ " (around[here - 1]) } }
            @if here + 1 < around.len() { a href=(view.link(&format!("/plan/{}/{}", plan.id, around[here + 1]))) { (around[here + 1]) " ›" } }
        }
    };
    Ok(Shown::new(
        format!("{row} {}", m.measure.title.get(lang)),
        status.simulated,
        body,
    ))
}

/// The mean of the year so far, day by day, against the target: the path of the year.
fn path(view: &View, ev: &AirEvaluation, i: &IndicatorStatus) -> Markup {
    let e = &ev.edition.edition;
    let Some(item) = e.annual.iter().find(|a| {
        a.item.indicator == i.indicator.indicator
            && a.item.statistic == i.indicator.statistic
            && a.item.percentile.is_none()
    }) else {
        return html! {};
    };
    let Some(period) = i
        .period
        .filter(|p| p.contains(date_of(ev.first_day, ev.range().start)))
    else {
        return html! {};
    };
    let range = day_range(ev.first_day, ev.city.indices.len(), &period);
    let (mut sum, mut n) = (0.0, 0u32);
    let mut means = Vec::new();
    for d in range.clone() {
        if let Some(v) = ev.city.series[item.slot][d] {
            sum += v.to_f64();
            n += 1;
        }
        means.push((n > 0).then(|| sum / f64::from(n.max(1))));
    }
    let total = (period.until.zip(period.from)).map_or(365, |(u, f)| (u - f).get_days() + 1);
    // Every third day is enough for a line of this width.
    let x: Vec<usize> = (0..usize::try_from(total).unwrap_or(365))
        .step_by(3)
        .collect();
    let values: Vec<Option<f64>> = x.iter().map(|k| means.get(*k).copied().flatten()).collect();
    let labels: Vec<String> = x
        .iter()
        .map(|k| {
            let date = date_of(period.from.unwrap_or(ev.first_day), *k);
            if date.day() <= 3 && date.month() % 2 == 1 {
                match view.lang {
                    Lang::Zh => format!("{}月", date.month()),
                    Lang::En => date.strftime("%b").to_string(),
                }
            } else {
                String::new()
            }
        })
        .collect();
    let target = i.target.map(show::float);
    // The mean that the rest of the year may have, drawn as the path that still meets the target.
    let allowed: Vec<Option<f64>> = match (target, values.iter().rposition(Option::is_some)) {
        (Some(t), Some(k)) if k + 1 < x.len() => {
            let now = values[k].unwrap_or(t);
            let gone = (x[k] + 1) as f64;
            let rest = ((t * f64::from(total) - now * gone) / (f64::from(total) - gone)).max(0.0);
            x.iter()
                .enumerate()
                .map(|(j, day)| {
                    (j >= k).then(|| {
                        let d = (*day + 1) as f64;
                        (now * gone + rest * (d - gone)) / d
                    })
                })
                .collect()
        }
        _ => vec![None; x.len()],
    };
    let name = show::indicator(view.lang, i.indicator.indicator.as_str());
    let unit = show::unit(view.lang, i.indicator.unit.as_str());
    let last = values.iter().flatten().last().copied();
    let caption = match (view.lang, last, target) {
        (Lang::Zh, Some(l), Some(t)) => format!(
            "{name} 自期初以来的平均值，现为 {l:.1} {unit}，目标 {t} {unit}；虚线为余下日子仍可达到目标的路径。"
        ),
        (Lang::En, Some(l), Some(t)) => format!(
            "Mean of {name} since the period began, now {l:.1} {unit}, target {t} {unit}; the dashed line is the path that still meets the target."
        ),
        _ => view.tr("尚无数据。", "No data yet.").to_owned(),
    };
    LineChart {
        title: format!("{name} {}", view.tr("今年以来平均", "mean so far")),
        unit: format!("{name} {unit}"),
        x_labels: labels,
        lines: vec![
            Line {
                name: view.tr("至今", "so far").to_owned(),
                values,
                class: "s1",
                dots: false,
            },
            Line {
                name: view.tr("可行路径", "path").to_owned(),
                values: allowed,
                class: "s4 dash",
                dots: false,
            },
        ],
        bands: Vec::new(),
        marks: target
            .map(|t| Mark {
                at: t,
                label: format!("{} {t}", view.tr("目标", "target")),
            })
            .into_iter()
            .collect(),
        caption,
    }
    .render()
}

/// Where each target comes from.
fn targets(view: &View, plan: &Plan, indicators: &[IndicatorStatus]) -> Markup {
    html! {
        h2 { (view.tr("目标的来历", "Where the targets come from")) }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("指标", "Indicator")) } th scope="col" { (view.tr("期间", "Period")) } th.n scope="col" { (view.tr("目标", "Target")) } th scope="col" { (view.tr("出处", "Citation")) } th scope="col" { (view.tr("核对", "Checked")) } } }
            tbody { @for i in indicators { tr {
                th scope="row" { (show::indicator(view.lang, i.indicator.indicator.as_str())) " " (show::statistic(view.lang, i.indicator.statistic.as_str())) }
                td { @if let Some(p) = i.period { (p) } @else { "–" } }
                td.n { (show::value(i.target)) " " (show::unit(view.lang, i.indicator.unit.as_str())) }
                td { @if i.target_clause.is_empty() { (super::home::citation(plan, view.lang, &i.indicator.citation)) } @else { (super::home::clause(view, &i.target_clause)) } }
                td { @if i.indicator.verified { (view.tr("已核对", "checked")) } @else { (view.tr("未核实", "not verified")) } }
            } } }
        } }
    }
}
