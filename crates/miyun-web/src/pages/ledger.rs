//! The 0.1 microgram ledger of a year: allowance, spent, left, the dearest days, the stations.

use std::sync::Arc;

use maud::{Markup, html};
use miyun_air::annual::day_range;
use miyun_air::budget::{Budget, budget};
use miyun_air::{DaySeries, Exact};
use miyun_assess::air::{AirEvaluation, PlaceResult};
use miyun_core::text::Lang;
use miyun_core::{Date, Decimal, Period, Subject};

use super::year_to;
use crate::chart::{Line, LineChart, Mark};
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::{Known, Site};

/// The ledger of a city's year.
pub(crate) struct Ledger {
    /// The city.
    pub city: Subject,
    /// First and last day of its record.
    pub days: (Date, Date),
    /// The year so far under the law in force.
    pub ev: Arc<AirEvaluation>,
    /// Which of its annual items is counted.
    pub item: usize,
    /// Where the target comes from.
    pub target_from: String,
    /// The counting.
    pub b: Budget,
}

/// What page and file ask for: city, year, indicator, target.
pub(crate) fn read(site: &Site, known: &Known, q: &Params) -> Result<Ledger, Failure> {
    let city = site.city(q.get("city").map(String::as_str))?;
    let record = site.record(&city.id, known)?;
    let (first, last) = (record.first_day, Site::last_day(&record));
    let year = super::air::year(q, first.year(), last.year())?;
    let period = year_to(year, last).ok_or_else(|| Failure::Bad("year".into()))?;
    let ev = site.evaluation(&city.id, period, "in-force", known)?;
    let name = q.get("indicator").map_or("PM2.5", String::as_str);
    let annual = &ev.edition.edition.annual;
    let item = annual
        .iter()
        .position(|a| a.item.indicator == *name && a.item.percentile.is_none() && a.limit.is_some())
        .ok_or_else(|| Failure::NotFound(format!("{name} has no annual mean with a limit")))?;
    let (target, target_from) = target(site, q, &annual[item], year)?;
    let until = period.until.unwrap_or(last);
    let b = ledger(&ev, annual[item].slot, year, until, first, last, target)
        .ok_or_else(|| Failure::Broken("the ledger overflows".into()))?;
    Ok(Ledger {
        city,
        days: (first, last),
        ev,
        item,
        target_from,
        b,
    })
}

/// Stations that count for the city, in the order of the ledger.
pub(crate) fn members(ev: &AirEvaluation) -> Vec<&PlaceResult> {
    ev.stations.iter().filter(|s| !s.control).collect()
}

pub(super) fn page(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let lang = view.lang;
    let l = read(site, &view.known, q)?;
    let (city, ev, b) = (&l.city, &*l.ev, &l.b);
    let (first, last) = l.days;
    let item = &ev.edition.edition.annual[l.item];
    let name = item.item.indicator.as_str();
    let year = super::air::year(q, first.year(), last.year())?;
    let unit = show::unit(lang, ev.edition.edition.slots[item.slot].unit.as_str());
    let label = show::indicator(lang, name);
    let f = |e: Option<Exact>| e.map_or("–".to_owned(), |v| format!("{:.1}", v.to_f64()));
    let title = view.tr("0.1 微克账本", "The 0.1 microgram ledger");
    let means: Vec<&miyun_air::AnnualValue> = ev.city.items.iter().collect();
    let k = means
        .iter()
        .position(|v| ev.edition.edition.annual[v.item].item == item.item);
    let body = html! {
        p.crumbs { a href=(view.link(&format!("/air?year={year}"))) { (city.name.get(lang)) " " (year) } }
        h1 { (title) " · " (label) " " (year) }
        p.lead { (words(lang, b, &label, unit)) }
        form.inline method="get" {
            label { (view.tr("年份", "Year")) " " select name="year" { @for y in (first.year()..=last.year()).rev() { option value=(y) selected[y == year] { (y) } } } }
            label { (view.tr("项目", "Indicator")) " " select name="indicator" { @for i in ev.edition.edition.annual.iter().filter(|a| a.item.percentile.is_none() && a.limit.is_some()) { option value=(i.item.indicator) selected[i.item.indicator == item.item.indicator] { (show::indicator(lang, i.item.indicator.as_str())) } } } }
            label { (view.tr("目标", "Target")) " " input name="target" inputmode="decimal" size="6" value=(b.target); }
            button { (view.tr("显示", "Show")) }
        }
        dl.pairs {
            dt { (view.tr("目标", "Target")) } dd { (b.target) " " (unit) " · " span.soft { (l.target_from) } }
            @if let Some(a) = k.and_then(|k| ev.assessment(&city.id, k)) { dt { (view.tr("平均值", "Mean")) } dd { (show::figure_unit(view, a)) } }
            dt { (view.tr("全年额度", "Allowance of the year")) } dd { (f(Some(b.allowance))) " " (unit) " × " (view.tr("天", "d")) }
            dt { (view.tr("已用", "Spent")) } dd { (f(b.spent)) " (" (b.days_over) " " (view.tr("天", "days")) ", " (view.tr("有效日", "valid days")) " " (b.days_valid) ")" }
            dt { (view.tr("剩余", "Left")) } dd { (f(b.left)) }
            @if b.allowed_mean.is_some() { dt { (view.tr("余下日子允许的平均值", "Mean that the rest may have")) } dd { (f(b.allowed_mean)) " " (unit) } }
            @if let Some(fan) = &b.fan { @if b.days_over < b.days_year { dt { (view.tr("年末展望", "At the end of the year")) } dd { (match lang {
                Lang::Zh => format!("{:.1}（90 % 区间 {:.1}–{:.1}），按过去 {} 年的余下日子续接", fan.quantiles[2], fan.quantiles[0], fan.quantiles[4], fan.years),
                Lang::En => format!("{:.1} (90 % interval {:.1} to {:.1}), continued with the rest of {} past years", fan.quantiles[2], fan.quantiles[0], fan.quantiles[4], fan.years),
            }) } } }
        }
        (spent_chart(view, ev, item.slot, b, year, &label, unit))
        h2 { (view.tr("最贵的日子", "The dearest days")) }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("日期", "Day")) } th.n scope="col" { (label) " (" (unit) ")" } th.n scope="col" { (view.tr("占年均值", "Share of the annual mean")) } th.n scope="col" { (view.tr("高出目标部分", "Above the target")) } } }
            tbody { @for d in b.worst.iter().take(12) { tr {
                th scope="row" { a href=(view.link(&format!("/map?at={}&layer={name}", d.date))) { (d.date) } }
                td.n { a.figure href=(view.link(&format!("/why/{}:{name}:{}:{}", city.id, ev.edition.edition.slots[item.slot].statistic, d.date))) { (format!("{:.0}", d.value.to_f64())) } }
                td.n { (format!("{:.2}", d.cost.to_f64())) } td.n { (format!("{:+.2}", d.above.to_f64())) }
            } } }
        } }
        h2 { (view.tr("站点的作用", "What each station does")) }
        (effects(view, ev, b, unit))
        @let of = format!("city={}&year={year}&indicator={name}&target={}", city.id, b.target);
        (show::downloads(view, &[
            (format!("/api/v1/air/ledger?{of}&part=days"), "最贵的日子", "The dearest days"),
            (format!("/api/v1/air/ledger?{of}&part=stations"), "站点的作用", "What each station does"),
        ]))
    };
    Ok(Shown::new(title, ev.simulated(), body))
}

/// The target: given, else the plan's for that year, else the limit in force.
fn target(
    site: &Site,
    q: &Params,
    item: &miyun_air::edition::AnnualItem,
    year: i16,
) -> Result<(Decimal, String), Failure> {
    if let Some(t) = q.get("target").filter(|t| !t.is_empty()) {
        let d: Decimal = t
            .parse()
            .map_err(|_| Failure::Bad(format!("target={t}: write a number such as 30.0")))?;
        if d <= Decimal::ZERO || d > Decimal::from(10_000) {
            return Err(Failure::Bad(format!("target={t} is out of range")));
        }
        return Ok((d, "?target=".into()));
    }
    let planned = site.plans.iter().find_map(|p| {
        p.measures.iter().find_map(|m| {
            m.indicators.iter().find_map(|i| match (i.target, i.when) {
                (miyun_plan::Target::Value(v), miyun_plan::When::Once(w))
                    if i.indicator == item.item.indicator
                        && i.statistic == item.item.statistic
                        && w.until.is_some_and(|u| u.year() == year) =>
                {
                    Some((v, m.id.to_string()))
                }
                _ => None,
            })
        })
    });
    planned
        .or_else(|| {
            item.limit
                .as_ref()
                .map(|l| (l.value.limit.value, l.rule.to_string()))
        })
        .ok_or_else(|| Failure::NotFound("there is neither target nor limit".into()))
}

fn ledger(
    ev: &AirEvaluation,
    slot: usize,
    year: i16,
    until: Date,
    first: Date,
    last: Date,
    target: Decimal,
) -> Option<Budget> {
    let city = &ev.city.series[slot];
    let stations: Vec<DaySeries> = members(ev).iter().map(|s| s.series[slot].clone()).collect();
    let past: Vec<DaySeries> = (first.year()..year)
        .filter_map(Period::year)
        .filter(|p| p.from.is_some_and(|f| f >= first) && p.until.is_some_and(|u| u <= last))
        .map(|p| city[day_range(ev.first_day, city.len(), &p)].to_vec())
        .collect();
    budget(ev.first_day, city, &stations, &past, year, until, target)
}

fn words(lang: Lang, b: &Budget, label: &str, unit: &str) -> String {
    let mean = b
        .mean
        .map_or("–".to_owned(), |m| format!("{:.1}", m.to_f64()));
    let over = b.days_over >= b.days_year;
    let rest = b.allowed_mean.map(Exact::to_f64);
    match (lang, over, rest) {
        (Lang::Zh, false, Some(r)) if r < 0.0 => format!(
            "{label} 至今平均 {mean} {unit}，全年额度已经用完：无论余下日子多干净，目标都达不到。"
        ),
        (Lang::En, false, Some(r)) if r < 0.0 => format!(
            "{label} so far is {mean} {unit}; the allowance of the year is spent: the target cannot be met however clean the rest is."
        ),
        (Lang::Zh, false, Some(r)) => format!(
            "{label} 至今平均 {mean} {unit}；余下 {} 天平均不超过 {r:.1} 即可达到目标 {}。",
            b.days_year - b.days_over,
            b.target
        ),
        (Lang::En, false, Some(r)) => format!(
            "{label} so far is {mean} {unit}; the target of {} is met if the remaining {} days average {r:.1} or less.",
            b.target,
            b.days_year - b.days_over
        ),
        (Lang::Zh, ..) => format!("{label} 全年平均 {mean} {unit}，目标 {}。", b.target),
        (Lang::En, ..) => format!(
            "{label} over the year is {mean} {unit} against a target of {}.",
            b.target
        ),
    }
}

/// What was spent day by day against an even pace.
fn spent_chart(
    view: &View,
    ev: &AirEvaluation,
    slot: usize,
    b: &Budget,
    year: i16,
    label: &str,
    unit: &str,
) -> Markup {
    let Some(p) = Period::year(year) else {
        return html! {};
    };
    let range = day_range(ev.first_day, ev.city.indices.len(), &p);
    let days = usize::try_from(b.days_year).unwrap_or(365);
    let share = 1.0 / f64::from(b.days_year);
    let mean = b.mean.map_or(0.0, Exact::to_f64);
    let mut sum = 0.0;
    let mut spent: Vec<Option<f64>> = Vec::new();
    for d in range.take(usize::try_from(b.days_over).unwrap_or(0)) {
        sum += ev.city.series[slot][d].map_or(mean, Exact::to_f64) * share;
        spent.push(Some(sum));
    }
    let x: Vec<usize> = (0..days).step_by(3).collect();
    let at = |v: &[Option<f64>]| x.iter().map(|k| v.get(*k).copied().flatten()).collect();
    let target = show::float(b.target);
    let even: Vec<Option<f64>> = (0..days)
        .map(|k| Some(target * (k + 1) as f64 * share))
        .collect();
    let labels = x
        .iter()
        .map(|k| {
            let date = miyun_air::annual::date_of(p.from.unwrap_or(ev.first_day), *k);
            if date.day() <= 3 && date.month() % 2 == 1 {
                crate::report::charts::month_names(view.lang)
                    [usize::from(date.month().unsigned_abs()) - 1]
                    .to_owned()
            } else {
                String::new()
            }
        })
        .collect();
    LineChart {
        title: view.tr("已用额度", "Allowance spent").to_owned(),
        unit: format!("{label} {unit}"),
        x_labels: labels,
        lines: vec![
            Line { name: view.tr("已用", "spent").into(), values: at(&spent), class: "s1", dots: false },
            Line { name: view.tr("匀速", "even pace").into(), values: at(&even), class: "s6 dash", dots: false },
        ],
        bands: Vec::new(),
        marks: vec![Mark { at: target, label: format!("{} {}", view.tr("目标", "target"), b.target) }],
        caption: match view.lang {
            Lang::Zh => format!("每一天占年均值多少，累加到今天为 {sum:.1} {unit}；匀速线是把目标平摊到每一天。"),
            Lang::En => format!("What each day costs of the annual mean, {sum:.1} {unit} so far; the even pace spreads the target over the days."),
        },
    }
    .render()
}

fn effects(view: &View, ev: &AirEvaluation, b: &Budget, unit: &str) -> Markup {
    let members = members(ev);
    let mut rows: Vec<_> = b.stations.iter().collect();
    rows.sort_by(|a, b| b.effect.unwrap_or(0.0).total_cmp(&a.effect.unwrap_or(0.0)));
    html! {
        div.scroll tabindex="0" { table {
            caption { (view.tr("去掉一个站点，城市平均值会变多少。", "By how much the city mean would change without the station.")) }
            thead { tr { th scope="col" { (view.tr("站点", "Station")) } th.n scope="col" { (view.tr("平均值", "Mean")) " (" (unit) ")" } th.n scope="col" { (view.tr("作用", "Effect")) } } }
            tbody { @for r in rows { @if let Some(s) = members.get(r.station) { tr {
                th scope="row" { a href=(view.link(&format!("/air/station/{}", s.subject.id))) { (s.subject.name.get(view.lang)) } }
                td.n { (r.mean.map_or("–".into(), |m| format!("{:.1}", m.to_f64()))) } td.n { (r.effect.map_or("–".into(), |e| format!("{e:+.2}"))) }
            } } } }
        } }
    }
}
