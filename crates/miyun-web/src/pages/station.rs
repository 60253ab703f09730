//! One station: its year, its calendar, its latest days, each figure with its why.

use maud::{Markup, html};
use miyun_air::annual::date_of;
use miyun_assess::air::{AirEvaluation, PlaceResult};
use miyun_core::Date;

use super::{at, year_to};
use crate::chart::{CalendarDay, calendar};
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;

pub(super) fn page(
    site: &Site,
    view: &View,
    q: &Params,
    (_, id): &(String, String),
) -> Result<Shown, Failure> {
    let lang = view.lang;
    let subject = site
        .lake()
        .subjects()
        .into_iter()
        .find(|s| s.id == **id)
        .ok_or_else(|| Failure::NotFound(format!("no station {id:?}")))?;
    let city = site.city(subject.part_of.as_ref().map(|p| p.as_str()))?;
    let record = site.record(&city.id, &view.known)?;
    let last = Site::last_day(&record);
    let day = at(q, last)?.clamp(record.first_day, last);
    let period = year_to(day.year(), last).ok_or_else(|| Failure::Bad("at".into()))?;
    let ev = site.evaluation(&city.id, period, "in-force", &view.known)?;
    let law = site.law_of_day(&city, day, &view.known)?;
    let place = |e: &'_ AirEvaluation| e.stations.iter().position(|p| p.subject.id == subject.id);
    let (Some(k), Some(j)) = (place(&ev), place(&law)) else {
        return Err(Failure::NotFound(format!("{id} has no data")));
    };
    let p = &ev.stations[k];
    let body = html! {
        p.crumbs { a href=(view.link("/air")) { (city.name.get(lang)) } " › " (subject.district.as_ref().map_or("", |d| d.get(lang))) }
        h1 { (subject.name.get(lang)) }
        p.lead { (view.tr("站点", "Station")) " " span.code { (subject.id) }
            @if subject.control { " · " (view.tr("对照点，不参加城市均值", "a control station, left out of the city mean")) }
            @if let Some(c) = &subject.zone_class { " · " (view.tr("功能区类别", "class of place")) " " (c) }
            @if let (Some(x), Some(y)) = (subject.lon_deg, subject.lat_deg) { " · " (format!("{y:.3}° N, {x:.3}° E")) }
        }
        (one_day(view, &law, &law.stations[j], day))
        h2 { (day.year()) " · " (view.tr("年评价项目", "annual items")) }
        (items(view, &ev, p))
        (year_calendar(view, &ev, p))
        h2 { (view.tr("最近 14 天", "Fourteen days")) }
        (days(view, &law, &law.stations[j], day))
        h2 { (view.tr("下载", "Downloads")) }
        (super::air::downloads(view, &[("air/items", "年评价项目", "Annual items"), ("air/days", "每日数值", "Days"), ("air/hours", "小时值", "Hours")], &format!("city={}&place={}&period={}", city.id, subject.id, day.year())))
    };
    Ok(Shown::new(subject.name.get(lang), subject.simulated, body))
}

fn one_day(view: &View, ev: &AirEvaluation, p: &PlaceResult, day: Date) -> Markup {
    let e = &ev.edition.edition;
    let d = usize::try_from((day - ev.first_day).get_days()).unwrap_or(0);
    let Some(index) = p.indices.get(d) else {
        return html! {};
    };
    let name = |l: u8| {
        e.levels
            .iter()
            .find(|x| x.value.level == u32::from(l))
            .map_or("", |x| x.value.name.get(view.lang))
    };
    html! {
        h2 { (show::day(view.lang, day)) }
        p { "AQI " strong { (index.aqi.map_or("–".into(), |a| a.to_string())) } " "
            @if let Some(l) = index.level { (show::level(name(l), l)) } @else { span.soft { (view.tr("数据不足，没有发布", "not published: too few data")) } }
            @if !index.primary.is_empty() { " · " (view.tr("首要污染物", "primary pollutant")) " " (e.primary_names(index).iter().map(|n| show::indicator(view.lang, n.as_str())).collect::<Vec<_>>().join(" + ")) }
            " · " a href=(view.link(&format!("/map?at={day}"))) { (view.tr("在地图上看这一天", "this day on the map")) } }
    }
}

fn items(view: &View, ev: &AirEvaluation, p: &PlaceResult) -> Markup {
    let lang = view.lang;
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("项目", "Item")) } th.n scope="col" { (view.tr("数值", "Value")) } th.n scope="col" { (view.tr("限值", "Limit")) } th scope="col" { (view.tr("结论", "Verdict")) } th.n scope="col" { (view.tr("有效日", "Valid days")) } } }
            tbody { @for (k, item) in p.items.iter().enumerate() { @if let Some(a) = ev.assessment(&p.subject.id, k) { tr {
                th scope="row" { (show::indicator(lang, a.indicator.as_str())) " " span.soft { (show::statistic(lang, a.statistic.as_str())) } }
                td.n { (show::figure_unit(view, a)) } td.n { (show::value(a.limit)) } td { (show::verdict(lang, &a.verdict)) } td.n { (item.days) }
            } } } }
        } }
    }
}

fn year_calendar(view: &View, ev: &AirEvaluation, p: &PlaceResult) -> Markup {
    let days: Vec<CalendarDay> = ev
        .range()
        .map(|d| {
            let (date, i) = (date_of(ev.first_day, d), &p.indices[d]);
            CalendarDay {
                date,
                level: i.level,
                title: match i.aqi {
                    Some(a) => format!("{date} AQI {a}"),
                    None => format!("{date} –"),
                },
                ringed: i.status == miyun_air::Completeness::Partial,
            }
        })
        .collect();
    let c = &p.counts;
    let caption = match view.lang {
        miyun_core::text::Lang::Zh => format!(
            "优良 {} 天，重污染 {} 天，未发布 {} 天；每列一周，自周一起。",
            c.good, c.heavy, c.not_published
        ),
        miyun_core::text::Lang::En => format!(
            "{} good days, {} heavy days, {} not published; a column is a week from Monday.",
            c.good, c.heavy, c.not_published
        ),
    };
    calendar(
        view.tr("日 AQI 日历", "Calendar of the daily AQI"),
        &days,
        crate::report::charts::month_names(view.lang),
        &caption,
    )
}

fn days(view: &View, ev: &AirEvaluation, p: &PlaceResult, day: Date) -> Markup {
    let lang = view.lang;
    let e = &ev.edition.edition;
    let end = usize::try_from((day - ev.first_day).get_days()).unwrap_or(0) + 1;
    let end = end.min(p.indices.len());
    let slots: Vec<usize> = (0..e.slots.len())
        .filter(|k| e.slots[*k].scale.is_some() && e.slots[*k].statistic != "daily-max-1h")
        .collect();
    html! {
        div.scroll tabindex="0" { table {
            caption { (view.tr("每个数都能打开它的理由；“–”为无有效值。", "Every number opens its why; – means no valid value.")) }
            thead { tr { th scope="col" { (view.tr("日期", "Day")) } th.n scope="col" { "AQI" }
                @for k in &slots { th.n scope="col" { (show::indicator(lang, e.slots[*k].indicator.as_str())) br; span.soft { (show::unit(lang, e.slots[*k].unit.as_str())) } } } } }
            tbody { @for d in (end.saturating_sub(14)..end).rev() { @let date = date_of(ev.first_day, d); tr {
                th scope="row" { a href=(view.link(&format!("/map?at={date}"))) { (date) } }
                td.n { (p.indices[d].aqi.map_or("–".into(), |a| a.to_string())) }
                @for k in &slots { @let s = &e.slots[*k]; td.n { @match p.series[*k][d] {
                    Some(v) => a.figure href=(view.link(&format!("/why/{}:{}:{}:{date}", p.subject.id, s.indicator, s.statistic))) { (v.round(s.rounding.value.decimals, s.rounding.value.rule)) },
                    None => { "–" }
                } } }
            } } }
        } }
    }
}
