//! Home: the plan at a glance.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use miyun_air::annual::date_of;
use miyun_assess::air::AirEvaluation;
use miyun_core::text::Lang;
use miyun_core::{Date, SubjectId, Text};
use miyun_plan::{IndicatorStatus, MeasureStatus, Plan, PlanStatus, Standing};
use miyun_store::Article;

use super::{at, attention, year_to};
use crate::chart::{pace_bar, px, sparkline};
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;

/// Sign, word and colour of a standing.
#[must_use]
pub(super) fn standing(lang: Lang, s: Standing) -> Markup {
    let (class, sign) = match s {
        Standing::Attained | Standing::OnTrack => ("good", "✓"),
        Standing::AtRisk => ("warn", "!"),
        Standing::Missed => ("bad", "×"),
        Standing::NoData | Standing::NotBound => ("none", "?"),
    };
    html! { span class={ "verdict " (class) } { (sign) " " (s.text().get(lang)) } }
}

/// The plan asked for, or the first.
pub(super) fn plan<'s>(site: &'s Site, wanted: Option<&String>) -> Result<&'s Plan, Failure> {
    match wanted.filter(|w| !w.is_empty()) {
        Some(id) => site.plans.iter().find(|p| p.id == *id),
        None => site.plans.first(),
    }
    .ok_or_else(|| Failure::NotFound("no such plan".into()))
}

/// The city that a plan measures, if any of its indicators names one.
pub(super) fn city_of(plan: &Plan) -> Option<&SubjectId> {
    plan.measures
        .iter()
        .flat_map(|m| &m.indicators)
        .map(|i| &i.subject)
        .next()
}

/// The year of `on` so far, where the city has data of it.
pub(super) fn year_so_far(
    site: &Site,
    view: &View,
    plan: &Plan,
    on: Date,
) -> Option<Arc<AirEvaluation>> {
    let city = city_of(plan)?;
    let last = Site::last_day(&*site.record(city, &view.known).ok()?);
    let period = year_to(on.year(), on.min(last)).filter(|p| p.from <= p.until)?;
    site.evaluation(city, period, "in-force", &view.known).ok()
}

/// The page, with the latest articles from the records.
pub(super) async fn with_articles(
    State(site): State<Arc<Site>>,
    view: View,
    Query(q): Query<Params>,
) -> Response {
    let latest = super::articles::latest(&site, &view, 4).await;
    crate::server::shown(view, move |v| page(&site, v, &q, &latest)).await
}

fn page(site: &Site, view: &View, q: &Params, latest: &[Article]) -> Result<Shown, Failure> {
    let plan = plan(site, q.get("plan"))?;
    let on = at(q, site.today())?;
    let status = site.plan_state(plan, on, &view.known);
    let air = year_so_far(site, view, plan, on);
    let body = html! {
        (head(site, view, plan, &status, air.as_deref()))
        (cards(view, plan, &status, air.as_deref()))
        div.split {
            section aria-labelledby="where" {
                h2 id="where" { (view.tr("各区情况", "By district")) }
                @if let Some(ev) = &air { (districts(view, ev, q)) } @else { p.soft { (view.tr("尚无本年数据。", "No data of this year yet.")) } }
            }
            section aria-labelledby="attention" {
                h2 id="attention" { (view.tr("需要关注", "Needs attention")) }
                @let items = attention::items(&status, air.as_deref(), 5);
                @if air.is_none() { p.soft { (view.tr("尚无可判定的数据。", "No data to judge yet.")) } }
                @else if items.is_empty() { p.soft { (view.tr("没有落后的措施，近 30 天没有重污染。", "No measure is behind, and none of the last 30 days was heavily polluted.")) } }
                ul.attention { @for i in &items { li {
                    span class={ "verdict " (i.class) } aria-hidden="true" { (i.sign) } " "
                    a href=(view.link(&i.link)) { (i.text.get(view.lang)) }
                } } }
            }
        }
        (table(view, plan, &status, q))
        (articles(view, latest))
        (choose(site, view, plan, on))
    };
    Ok(Shown::new(
        plan.title.get(view.lang),
        status.simulated,
        body,
    ))
}

fn head(
    site: &Site,
    view: &View,
    plan: &Plan,
    s: &PlanStatus,
    air: Option<&AirEvaluation>,
) -> Markup {
    let c = &s.coverage;
    let behind = s
        .measures
        .iter()
        .filter(|m| matches!(m.standing, Standing::AtRisk | Standing::Missed))
        .count();
    html! {
        h1 { (plan.title.get(view.lang)) }
        @if let Some(ev) = air {
            @let range = ev.range();
            @let last = date_of(ev.first_day, range.end.saturating_sub(1));
            @let there = ev.stations.iter().filter(|p| p.indices.get(range.end.saturating_sub(1)).is_some_and(|i| i.max.is_some())).count();
            p.soft.fresh {
                (ev.city.subject.name.get(view.lang)) " · " time datetime=(s.on) { (show::day(view.lang, s.on)) } " · "
                (match view.lang {
                    Lang::Zh => format!("数据至 {last}，当日 {there}/{} 个站点有数据", ev.stations.len()),
                    Lang::En => format!("data until {last}, {there} of {} stations reported that day", ev.stations.len()),
                })
            }
        }
        p.lead { @if let Some(text) = sentence(view, s) { (text) " " }
            (match view.lang {
                Lang::Zh => format!("{} 项措施中 {} 项绑定了指标，{} 项有足够数据可以判定，{behind} 项落后。", c.measures, c.bound, c.judged),
                Lang::En => format!("Of {} measures {} are bound to indicators, {} have data enough to judge, {behind} {} behind.", c.measures, c.bound, c.judged, if behind == 1 { "is" } else { "are" }),
            })
        }
        @if let Some(n) = &plan.note { @if !site.plans.is_empty() { p.soft { (n.get(view.lang)) } } }
    }
}

/// The year in one sentence: the first annual mean with a target that is still open.
fn sentence(view: &View, s: &PlanStatus) -> Option<String> {
    let i = s.measures.iter().flat_map(|m| &m.indicators).find(|i| {
        i.indicator.statistic == "annual-mean"
            && i.figure.is_some()
            && i.target.is_some()
            && i.period.is_some_and(|p| p.contains(s.on))
    })?;
    let (value, target) = (i.figure.as_ref()?.assessment.value?, i.target?);
    let left = 1.0 - i.elapsed;
    let rest = (left > 0.0)
        .then(|| (show::float(target) - show::float(value) * i.elapsed) / left)
        .map(|r| format!("{:.1}", r.max(0.0)));
    let name = show::indicator(view.lang, i.indicator.indicator.as_str());
    let unit = show::unit(view.lang, i.indicator.unit.as_str());
    Some(match (view.lang, rest) {
        (Lang::Zh, Some(r)) => format!(
            "今年以来 {name} 平均 {value} {unit}，目标 {target}；余下的日子平均不超过 {r} 就能达到目标。"
        ),
        (Lang::En, Some(r)) => format!(
            "{name} so far this year is {value} {unit} against a target of {target}; the target is met if the rest of the year stays at or below {r}."
        ),
        (Lang::Zh, None) => format!("全年 {name} 平均 {value} {unit}，目标 {target}。"),
        (Lang::En, None) => {
            format!("{name} of the whole year is {value} {unit} against a target of {target}.")
        }
    })
}

fn cards(view: &View, plan: &Plan, s: &PlanStatus, air: Option<&AirEvaluation>) -> Markup {
    let open = |i: &IndicatorStatus| i.period.is_some_and(|p| p.contains(s.on));
    let all: Vec<(&MeasureStatus, &IndicatorStatus)> = s
        .measures
        .iter()
        .flat_map(|m| m.indicators.iter().map(move |i| (m, i)))
        .collect();
    let mut shown: Vec<_> = all.iter().filter(|(_, i)| open(i)).take(6).collect();
    if shown.is_empty() {
        shown = all.iter().take(6).collect();
    }
    html! {
        h2.hide { (view.tr("目标", "Targets")) }
        ul.cards.targets { @for (m, i) in shown { li.card { (card(view, plan, m, i, air)) } } }
    }
}

/// One target: number, unit, target with its clause, pace, verdict in words, course.
pub(super) fn card(
    view: &View,
    plan: &Plan,
    m: &MeasureStatus,
    i: &IndicatorStatus,
    air: Option<&AirEvaluation>,
) -> Markup {
    let lang = view.lang;
    let value = i.figure.as_ref().and_then(|f| f.assessment.value);
    let unit = show::unit(lang, i.indicator.unit.as_str());
    let sign = match i.indicator.direction {
        miyun_plan::Direction::AtMost => "≤",
        miyun_plan::Direction::AtLeast => "≥",
    };
    html! {
        h3 { (show::indicator(lang, i.indicator.indicator.as_str())) " " span.soft { (show::statistic(lang, i.indicator.statistic.as_str())) } }
        div.value { @match &i.figure { Some(f) => { (show::figure(view, &f.assessment)) } None => { "–" } } " " span.unit { (unit) }
            @if let Some(ev) = air { (course(ev, i)) } }
        p { (standing(lang, i.standing)) @if let Some(t) = i.target { " · " (view.tr("目标", "target")) " " (sign) " " (t) " " (unit) } }
        @if let (Some(v), Some(t)) = (value, i.target) { @if show::float(t) > 0.0 && i.standing < Standing::NoData { (pace(view, i, show::float(v), show::float(t))) } }
        p.soft.words { (crate::said::units(lang, i.words.get(lang))) }
        p.soft {
            a href=(view.link(&format!("/plan/{}/{}", plan.id, m.measure.row))) { (view.tr("措施 ", "measure ")) (m.measure.row) } " · "
            @if i.target_clause.is_empty() { (citation(plan, lang, &i.indicator.citation)) } @else { (clause(view, &i.target_clause)) }
            @if !i.indicator.verified { " · " (view.tr("目标未核实", "target not verified")) }
        }
    }
}

/// Time gone against allowance used.
fn pace(view: &View, i: &IndicatorStatus, value: f64, target: f64) -> Markup {
    let count = i.indicator.statistic == "annual-count";
    // A count is used up as it is; a mean is used up with the days it stands for.
    let used = if count {
        value / target
    } else {
        value / target * i.elapsed
    };
    let label = match view.lang {
        Lang::Zh => format!(
            "时间已过 {:.0} %，额度已用 {:.0} %",
            i.elapsed * 100.0,
            used * 100.0
        ),
        Lang::En => format!(
            "{:.0} % of the time gone, {:.0} % of the allowance used",
            i.elapsed * 100.0,
            used * 100.0
        ),
    };
    match i.indicator.direction {
        miyun_plan::Direction::AtMost => html! { (pace_bar(i.elapsed, used, &label)) },
        miyun_plan::Direction::AtLeast => html! {},
    }
}

/// A limit's clause as a link into the rulebook: `gb-3095-2026#table-1 (4.1)`.
pub(super) fn clause(view: &View, text: &str) -> Markup {
    let (id, _) = text.split_once(", ").unwrap_or((text, ""));
    html! { a href=(view.link(&format!("/rules/{id}"))) { (crate::said::clause(view.lang, text)) } }
}

/// The title of a citation of the plan.
pub(super) fn citation<'p>(plan: &'p Plan, lang: Lang, key: &str) -> &'p str {
    plan.citations
        .iter()
        .find(|c| c.0 == key)
        .map_or("", |c| c.1.get(lang))
}

/// The last 24 months of what an indicator counts, as a small line.
fn course(ev: &AirEvaluation, i: &IndicatorStatus) -> Markup {
    let e = &ev.edition.edition;
    let item = e.annual.iter().position(|a| {
        a.item.indicator == i.indicator.indicator && a.item.statistic == i.indicator.statistic
    });
    let values: Vec<Option<f64>> = match item {
        Some(k) => {
            let months = ev.months(&ev.city, k);
            months[months.len().saturating_sub(24)..]
                .iter()
                .map(|m| m.mean)
                .collect()
        }
        None => monthly_counts(ev, i.indicator.indicator.as_str()),
    };
    if values.is_empty() {
        return html! {};
    }
    let target = item.and(i.target).map(show::float);
    sparkline(&values, target)
}

/// Good days in percent, or heavy days, by month; nothing for what is not counted by the index.
pub(super) fn monthly_counts(ev: &AirEvaluation, indicator: &str) -> Vec<Option<f64>> {
    if !["good-day-ratio", "good-days", "heavy-days"].contains(&indicator) {
        return Vec::new();
    }
    let end = ev.range().end;
    let mut out: Vec<(i16, i8, u32, u32)> = Vec::new();
    for (d, index) in ev.city.indices.iter().enumerate().take(end) {
        let date = date_of(ev.first_day, d);
        let Some(level) = index.level else { continue };
        let hit = match indicator {
            "heavy-days" => level >= 5,
            _ => level <= 2,
        };
        match out.last_mut() {
            Some(m) if (m.0, m.1) == (date.year(), date.month()) => {
                m.2 += u32::from(hit);
                m.3 += 1;
            }
            _ => out.push((date.year(), date.month(), u32::from(hit), 1)),
        }
    }
    let from = out.len().saturating_sub(24);
    out[from..]
        .iter()
        .map(|m| {
            Some(if indicator == "heavy-days" {
                f64::from(m.2)
            } else {
                f64::from(m.2) / f64::from(m.3) * 100.0
            })
        })
        .collect()
}

/// Classes that tell the values of a map apart: at most five of the same width between round
/// numbers, so that neighbours which differ little still differ in colour. Where a value stands
/// against its limit is said by a sign, not by these colours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes {
    low: f64,
    step: f64,
    count: u8,
    decimals: usize,
}

/// Colours of the scale.
const CLASSES_MAX: f64 = 5.0;

impl Classes {
    /// Classes over these values; `None` without one.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                (l.min(*v), h.max(*v))
            });
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        // The smallest of 1, 2, 5 times a power of ten with which the values fit.
        let mut decimals = 3usize;
        for power in -3i32..=6 {
            for m in [1.0, 2.0, 5.0] {
                let step = m * 10f64.powi(power);
                let first = (low / step).floor();
                let count = (high / step).floor() - first + 1.0;
                if count <= CLASSES_MAX {
                    return Some(Self {
                        low: first * step,
                        step,
                        count: count as u8,
                        decimals,
                    });
                }
            }
            decimals = decimals.saturating_sub(1);
        }
        None
    }

    /// Class of a value, from 1.
    pub(super) fn class(&self, value: f64) -> u8 {
        // Between two classes a sum of floats may fall short of the number that was printed.
        let k = ((value - self.low) / self.step + 1e-9).floor();
        (k.clamp(0.0, f64::from(self.count) - 1.0) as u8) + 1
    }

    /// Each class with its bounds in words.
    pub(super) fn bounds(&self) -> Vec<(u8, String)> {
        let edge = |k: u8| format!("{:.*}", self.decimals, self.low + f64::from(k) * self.step);
        (0..self.count)
            .map(|k| (k + 1, format!("{}–{}", edge(k), edge(k + 1))))
            .collect()
    }
}

/// Districts as squares, each with the highest of its stations.
fn districts(view: &View, ev: &AirEvaluation, q: &Params) -> Markup {
    let lang = view.lang;
    let e = &ev.edition.edition;
    let choices: Vec<usize> = (0..e.annual.len())
        .filter(|k| {
            e.annual[*k].limit.is_some()
                && (e.annual[*k].item.percentile.is_none() || e.annual[*k].item.indicator == "O3")
        })
        .collect();
    let wanted = q.get("card").map_or("PM2.5", String::as_str);
    let Some(k) = choices
        .iter()
        .copied()
        .find(|k| e.annual[*k].item.indicator == *wanted)
        .or(choices.last().copied())
    else {
        return html! {};
    };
    let tiles = crate::geo::tiles(ev.city.subject.id.as_str());
    let unit = show::unit(lang, e.slots[e.annual[k].slot].unit.as_str());
    let name = show::indicator(lang, e.annual[k].item.indicator.as_str());
    let (columns, rows) = tiles
        .iter()
        .fold((1, 1), |(c, r), t| (c.max(t.column + 1), r.max(t.row + 1)));
    const SIDE: f64 = 78.0;
    let value = |t: &crate::geo::Tile| Some(show::float(highest(ev, k, &t.name)?.1.value?));
    let shown: Vec<f64> = tiles.iter().filter_map(value).collect();
    let classes = Classes::of(&shown);
    let limit = ev.assessment(&ev.city.subject.id, k).and_then(|a| a.limit);
    html! {
        nav.chips aria-label=(view.tr("项目", "Indicator")) { @for c in &choices {
            @let i = e.annual[*c].item.indicator.as_str();
            a href={ (view.with(&[("card", i)])) "#where" } aria-current=[(*c == k).then_some("true")] { (show::indicator(lang, i)) }
        } }
        @if tiles.is_empty() { p { a href=(view.link("/map")) { (view.tr("站点地图", "Map of the stations")) } } } @else {
        figure.chart.tiles {
            svg viewBox={ "0 0 " (px(f64::from(columns) * SIDE)) " " (px(f64::from(rows) * SIDE)) } width=(px(f64::from(columns) * SIDE * 1.15)) role="group" aria-label=(view.tr("各区方格图，数值见下表", "Squares of the districts; the table below has the values")) {
                @for t in tiles {
                    @let (x, y) = (f64::from(t.column) * SIDE, f64::from(t.row) * SIDE);
                    @let top = highest(ev, k, &t.name);
                    @let class = value(t).and_then(|v| Some(classes.as_ref()?.class(v))).unwrap_or(0);
                    a href=(view.link(&format!("/map?layer={}", e.annual[k].item.indicator))) {
                        title { (t.name.get(lang)) @if let Some((p, a)) = top { " · " (p.subject.name.get(lang)) " " (show::value(a.value)) " " (unit) } @else { " · " (view.tr("没有站点", "no station")) } }
                        rect class={ "c" (class) } x=(px(x + 2.0)) y=(px(y + 2.0)) width="74" height="74" rx="5" {}
                        text class={ "mid ct" (class) } x=(px(x + 39.0)) y=(px(y + 32.0)) { (t.name.get(lang)) }
                        text class={ "mid big ct" (class) } x=(px(x + 39.0)) y=(px(y + 54.0)) { @match top { Some((_, a)) => { (show::value(a.value)) @if a.verdict == miyun_core::Verdict::Exceeded { " ×" } } None => { "–" } } }
                    }
                }
            }
            figcaption { (match lang {
                Lang::Zh => format!("{name}，今年以来，每格为该区数值最高的站点（{unit}）；限值 {}，× 为超过限值。方格只表示相对位置，不是区界。", show::value(limit)),
                Lang::En => format!("{name} this year so far; each square shows the highest of its stations ({unit}). The limit is {}, × is above it. Squares give relative places, not boundaries.", show::value(limit)),
            }) }
            @if let Some(c) = &classes { ul.scale aria-label=(view.tr("图例", "Legend")) {
                @for (class, words) in c.bounds() { li { svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { rect class={ "c" (class) } x="1" y="1" width="14" height="14" rx="2" {} } " " (words) } }
                li { (unit) " · " (view.tr("深色低，浅色高", "dark is low, light is high")) }
            } }
            details { summary { (view.tr("数据表", "Table")) }
                table { thead { tr { th scope="col" { (view.tr("区", "District")) } th scope="col" { (view.tr("站点", "Station")) } th.n scope="col" { (name) " (" (unit) ")" } } }
                tbody { @for t in tiles { @if let Some((p, a)) = highest(ev, k, &t.name) { tr { th scope="row" { (t.name.get(lang)) } td { (p.subject.name.get(lang)) } td.n { (show::figure(view, a)) } } } } } }
            }
        } }
        p { a href=(view.link("/map")) { (view.tr("站点地图与时间轴", "Map of the stations, with time")) } }
    }
}

fn highest<'e>(
    ev: &'e AirEvaluation,
    item: usize,
    district: &Text,
) -> Option<(
    &'e miyun_assess::air::PlaceResult,
    &'e miyun_core::Assessment,
)> {
    ev.stations
        .iter()
        .filter(|p| {
            p.subject
                .district
                .as_ref()
                .is_some_and(|d| d.zh == district.zh)
        })
        .filter_map(|p| Some((p, ev.assessment(&p.subject.id, item)?)))
        .filter(|(_, a)| a.value.is_some())
        .max_by_key(|(_, a)| a.value)
}

/// The plan as a table by chapter, with its filter.
fn table(view: &View, plan: &Plan, s: &PlanStatus, q: &Params) -> Markup {
    let lang = view.lang;
    let show = q.get("show").map_or("all", String::as_str);
    let keep = |m: &&MeasureStatus| match show {
        "behind" => matches!(m.standing, Standing::AtRisk | Standing::Missed),
        "bound" => !m.indicators.is_empty(),
        "unbound" => m.indicators.is_empty(),
        _ => true,
    };
    let filters = [
        ("", "全部", "all"),
        ("behind", "落后", "behind"),
        ("bound", "已绑定指标", "bound to an indicator"),
        ("unbound", "未绑定", "not yet bound"),
    ];
    html! {
        h2 id="plan" { (view.tr("全部措施", "Every measure")) }
        nav.chips aria-label=(view.tr("筛选措施", "Filter of the measures")) { @for (key, zh, en) in filters {
            a href={ (view.with(&[("show", key)])) "#plan" } aria-current=[(show == key || (key.is_empty() && show == "all")).then_some("true")] { (view.tr(zh, en)) }
        } }
        @if !s.measures.iter().any(|m| keep(&m)) { p.soft { (view.tr("没有符合筛选的措施。", "No measure passes the filter.")) } }
        @for chapter in &s.chapters {
            @let rows: Vec<&MeasureStatus> = s.measures.iter().filter(|m| m.measure.chapter == chapter.id).filter(keep).collect();
            @if !rows.is_empty() {
                div.scroll tabindex="0" { table.plan {
                    caption { (chapter.title.get(lang)) }
                    thead { tr { th.row scope="col" { "#" } th.what scope="col" { (view.tr("措施", "Measure")) } th scope="col" { (view.tr("牵头", "Lead")) } th scope="col" { (view.tr("状态", "Status")) } th scope="col" { (view.tr("说明", "In words")) } } }
                    tbody { @for m in rows { tr id={ "m" (m.measure.row) } {
                        td { (m.measure.row) }
                        th scope="row" { a href=(view.link(&format!("/plan/{}/{}", plan.id, m.measure.row))) { (m.measure.title.get(lang)) } br; span.soft { (m.measure.text.get(lang)) } }
                        td { (m.measure.lead.get(lang)) @if !m.measure.lead_verified { " " span.soft { (view.tr("（未核实）", "(not verified)")) } } }
                        td { (standing(lang, m.standing)) }
                        td { (reason(view, m)) }
                    } } }
                } }
            }
        }
    }
}

fn reason(view: &View, m: &MeasureStatus) -> Markup {
    html! {
        @for i in &m.indicators { p { (show::indicator(view.lang, i.indicator.indicator.as_str())) ": " (crate::said::units(view.lang, i.words.get(view.lang))) } }
        @if let Some(n) = m.measure.needs.as_ref().filter(|_| m.indicators.is_empty()) { span.soft { (view.tr("需要的证据：", "Evidence it needs: ")) (n.get(view.lang)) } }
    }
}

fn articles(view: &View, latest: &[Article]) -> Markup {
    let now = jiff::Timestamp::now();
    html! { @if !latest.is_empty() {
        h2 { (view.tr("最新文章", "Latest articles")) }
        ul.latest { @for a in latest { @if let Some((v, t)) = a.current.as_ref().and_then(|v| Some((v, v.content.text(view.lang)?))) { li {
            a href=(view.link(&format!("/articles/{}", a.id))) lang=(crate::shell::tag(t.lang)) { (t.title) } " "
            span.soft { (v.content.source.get(view.lang)) " · " (super::articles::released(view, v.content.released_at, now)) }
        } } } }
        p { a href=(view.link("/articles")) { (view.tr("全部文章", "All articles")) } }
    } }
}

fn choose(site: &Site, view: &View, plan: &Plan, on: Date) -> Markup {
    html! {
        form.inline method="get" {
            label { (view.tr("哪一天", "On the day")) " " input type="date" name="at" value=(on); }
            label { (view.tr("截至何时已知", "As known on")) " " input type="date" name="known" value=(view.known.as_deref().and_then(|k| k.get(..10)).unwrap_or("")); }
            @if site.plans.len() > 1 { label { (view.tr("计划", "Plan")) " " select name="plan" { @for p in &site.plans { option value=(p.id) selected[p.id == plan.id] { (p.title.get(view.lang)) } } } } }
            button { (view.tr("显示", "Show")) }
        }
        (show::downloads(view, &[(format!("/api/v1/plans/{}/measures?on={on}", plan.id), "措施与指标", "Measures and indicators")]))
        p.soft { a href={ "/api/v1/plans/" (plan.id) "/status?on=" (on) } { (view.tr("全部细节（JSON）", "Every detail (JSON)")) } " · " a href=(view.link("/data")) { (view.tr("数据与接口", "Data and API")) } " · " a href=(view.link("/about")) { (view.tr("怎样算出来的", "How it is computed")) } }
    }
}

#[cfg(test)]
mod tests {
    use super::Classes;

    #[test]
    fn close_values_are_told_apart_by_round_classes() {
        // A year's means within two micrograms: four classes, not one.
        let c = Classes::of(&[29.1, 29.6, 30.2, 30.9]).unwrap();
        let classes: Vec<u8> = [29.1, 29.6, 30.2, 30.9].map(|v| c.class(v)).to_vec();
        assert_eq!(classes, [1, 2, 3, 4]);
        assert_eq!(c.bounds()[0], (1, "29.0–29.5".to_owned()));
        let c = Classes::of(&[8.0, 60.0]).unwrap();
        assert_eq!((c.class(8.0), c.class(60.0)), (1, 4));
        assert_eq!(c.bounds().last().unwrap().1, "60–80");
        let one = Classes::of(&[0.5, 0.5]).unwrap();
        assert_eq!((one.class(0.5), one.bounds().len()), (1, 1));
        assert_eq!(Classes::of(&[]), None);
        // Every value falls into the class whose bounds hold it.
        for k in 0..500 {
            let v = f64::from(k) / 10.0;
            let c = Classes::of(&[0.0, v, 50.0]).unwrap();
            let (_, words) = &c.bounds()[usize::from(c.class(v)) - 1];
            let (a, b) = words.split_once('–').unwrap();
            let (a, b): (f64, f64) = (a.parse().unwrap(), b.parse().unwrap());
            assert!(a <= v + 1e-6 && v < b + 1e-6, "{v} {words}");
        }
    }
}
