//! The map: stations on a day, as a drawing and as a list, with links through time.

use maud::{Markup, html};
use miyun_air::annual::date_of;
use miyun_assess::air::{AirEvaluation, PlaceResult};
use miyun_core::text::Lang;
use miyun_core::{Date, Subject};

use super::at;
use crate::chart::{LEVEL_SHAPES, px};
use crate::failure::Failure;
use crate::geo::{Frame, LAYERS, nearest_areas, path};
use crate::outlets::{Outlet, Standing};
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::{Known, Site};

/// What the map shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// The index of the day.
    Aqi,
    /// A slot of the edition.
    Slot(usize),
}

/// A station of the map with a place, for programs.
pub(crate) struct Station {
    /// The station.
    pub subject: Subject,
    /// Longitude and latitude in degrees.
    pub at: (f64, f64),
    /// Its value, as the page shows it.
    pub value: Option<String>,
    /// Its level.
    pub level: Option<u8>,
    /// Primary pollutants.
    pub primary: String,
    /// Path of why, without the language.
    pub why: String,
}

/// Stations of a day as the page shows them: `city`, `at`, `layer`.
pub(crate) fn stations(site: &Site, known: &Known, q: &Params) -> Result<Vec<Station>, Failure> {
    let city = site.city(q.get("city").map(String::as_str))?;
    let record = site.record(&city.id, known)?;
    let (first, last) = (record.first_day, Site::last_day(&record));
    let day = at(q, last)?.clamp(first, last);
    let ev = site.law_of_day(&city, day, known)?;
    let wanted = q.get("layer").map_or("AQI", String::as_str);
    let layer = layer(&ev, wanted)
        .ok_or_else(|| Failure::NotFound(format!("no layer {wanted:?} under this law")))?;
    let placed = marks(&ev, layer, day).into_iter().filter_map(|m| {
        let subject = m.place.subject.clone();
        Some(Station {
            at: (subject.lon_deg?, subject.lat_deg?),
            subject,
            value: m.value,
            level: m.level,
            primary: m.primary,
            why: m.why,
        })
    });
    Ok(placed.collect())
}

/// One station on one day.
pub(super) struct Mark<'e> {
    pub place: &'e PlaceResult,
    pub value: Option<String>,
    pub sort: f64,
    pub level: Option<u8>,
    pub primary: String,
    pub why: String,
}

pub(super) fn page(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let city = site.city(q.get("city").map(String::as_str))?;
    let record = site.record(&city.id, &view.known)?;
    let (first, last) = (record.first_day, Site::last_day(&record));
    let day = at(q, last)?.clamp(first, last);
    let ev = site.law_of_day(&city, day, &view.known)?;
    let wanted = q.get("layer").map_or("AQI", String::as_str);
    let layer = layer(&ev, wanted)
        .ok_or_else(|| Failure::NotFound(format!("no layer {wanted:?} under this law")))?;
    let sort = q.get("sort").map_or("-value", String::as_str);
    let marks = marks(&ev, layer, day);
    let hidden = q.get("outlets").is_some_and(|o| o == "no");
    // Outlets that cannot be read do not take the stations with them.
    let outlets = site.outlets(&view.known).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the map has no outlets");
        Vec::new()
    });
    let shown: &[Outlet] = if hidden { &[] } else { &outlets };
    let title = view.tr("站点地图", "Map of the stations");
    let compare = match q.get("compare").filter(|d| !d.is_empty()) {
        Some(_) => {
            Some(at(&Params::from([("at".into(), q["compare"].clone())]), last)?.clamp(first, last))
        }
        None => None,
    };
    let body = html! {
        h1 { (title) " · " (city.name.get(view.lang)) }
        (layers(view, &ev, wanted, (!outlets.is_empty()).then_some(hidden)))
        (times(view, day, first, last, compare))
        @match compare {
            None => div id="drawn" { (drawing(view, &city, &marks, layer, day, shown)) },
            Some(other) => {
                @let then = site.law_of_day(&city, other, &view.known)?;
                @let before = super::map::marks(&then, layer_again(&ev, &then, layer), other);
                div.split.even {
                    section { h2 { (show::day(view.lang, other)) } (drawing(view, &city, &before, layer, other, &[])) }
                    section { h2 { (show::day(view.lang, day)) } (drawing(view, &city, &marks, layer, day, &[])) }
                }
            }
        }
        @if compare.is_none() { (live(view, &city, &ev, wanted, day, (first, last))) }
        (legend(view, &ev, layer, &marks, day))
        @if !shown.is_empty() { (outlet_legend(view)) }
        (strip(view, &ev, day))
        h2 id="list" { (view.tr("同一天的列表", "The same day as a list")) }
        (list(view, &ev, layer, marks, day, sort))
        @if !shown.is_empty() { div data-part="outlets" { (outlet_list(view, shown)) } }
        @if !shown.is_empty() && view.known.is_none() {
            div data-live={ "/live/devices?lang=" (view.tr("zh", "en")) } data-script="/static/devices.js" {}
        }
        (super::air::downloads(view, &[("air/days", "这一天", "This day"), ("air/hours", "它的小时值", "Its hours")], &format!("city={}&period={day}", city.id)))
        @if !outlets.is_empty() { (show::downloads(view, &[("/api/v1/device-tables/devices".into(), "设备", "Devices")])) }
    };
    Ok(Shown::new(title, city.simulated, body))
}

fn layer(ev: &AirEvaluation, name: &str) -> Option<Layer> {
    if name == "AQI" {
        return Some(Layer::Aqi);
    }
    ev.edition
        .edition
        .slots
        .iter()
        .position(|s| s.scale.is_some() && s.indicator == *name && s.statistic != "daily-max-1h")
        .map(Layer::Slot)
}

/// The same layer under another law.
fn layer_again(ev: &AirEvaluation, other: &AirEvaluation, l: Layer) -> Layer {
    match l {
        Layer::Aqi => Layer::Aqi,
        Layer::Slot(k) => {
            layer(other, ev.edition.edition.slots[k].indicator.as_str()).unwrap_or(Layer::Aqi)
        }
    }
}

/// Every station of the day. Colour follows the index level of the value.
fn marks<'e>(ev: &'e AirEvaluation, layer: Layer, day: Date) -> Vec<Mark<'e>> {
    let e = &ev.edition.edition;
    let Ok(d) = usize::try_from((day - ev.first_day).get_days()) else {
        return Vec::new();
    };
    ev.stations
        .iter()
        .map(|place| {
            let index = place.indices.get(d);
            let primary: Vec<String> = index
                .map(|i| e.primary_names(i))
                .unwrap_or_default()
                .iter()
                .map(|n| n.to_string())
                .collect();
            let (value, sort, level, why) = match layer {
                Layer::Aqi => {
                    let aqi = index.and_then(|i| i.aqi);
                    (
                        aqi.map(|a| a.to_string()),
                        aqi.map_or(f64::NEG_INFINITY, f64::from),
                        index.and_then(|i| i.level),
                        format!("/air/station/{}?at={day}", place.subject.id),
                    )
                }
                Layer::Slot(k) => {
                    let s = &e.slots[k];
                    let v = place.series[k].get(d).copied().flatten();
                    let round = &s.rounding.value;
                    (
                        v.map(|v| v.round(round.decimals, round.rule).to_string()),
                        v.map_or(f64::NEG_INFINITY, miyun_air::Exact::to_f64),
                        v.and_then(|v| e.sub_index(k, v)).and_then(|i| e.level(i)),
                        format!(
                            "/why/{}:{}:{}:{day}",
                            place.subject.id, s.indicator, s.statistic
                        ),
                    )
                }
            };
            Mark {
                place,
                value,
                sort,
                level,
                primary: primary.join(" + "),
                why,
            }
        })
        .collect()
}

/// Layers to choose from; `outlets` says whether those are hidden, if there are any.
fn layers(view: &View, ev: &AirEvaluation, wanted: &str, outlets: Option<bool>) -> Markup {
    let mut names = vec!["AQI".to_owned()];
    for s in &ev.edition.edition.slots {
        let n = s.indicator.to_string();
        if s.scale.is_some() && !names.contains(&n) {
            names.push(n);
        }
    }
    html! {
        nav.chips aria-label=(view.tr("图层", "Layers")) { @for n in &names {
            a href=(view.with(&[("layer", if n == "AQI" { "" } else { n })])) aria-current=[(n == wanted).then_some("true")] { (show::indicator(view.lang, n)) }
        }
        @if let Some(hidden) = outlets {
            a href=(view.with(&[("outlets", if hidden { "" } else { "no" })])) { (if hidden { view.tr("＋ 排放口", "+ Outlets") } else { view.tr("－ 排放口", "− Outlets") }) }
        } }
    }
}

/// The map that moves, for who asks for it: the drawing stays until it is there, and where it
/// cannot be.
fn live(
    view: &View,
    city: &Subject,
    ev: &AirEvaluation,
    wanted: &str,
    day: Date,
    (first, last): (Date, Date),
) -> Markup {
    let levels: Vec<String> = ev
        .edition
        .edition
        .levels
        .iter()
        .map(|l| l.value.name.get(view.lang).to_owned())
        .collect();
    let standings: Vec<String> = Standing::ALL
        .iter()
        .map(|s| s.text().get(view.lang).to_owned())
        .collect();
    html! {
        section id="live" class="live script" hidden aria-label=(view.tr("可移动的地图", "Map that moves"))
            data-library=(crate::assets::map_path("maplibre-gl.mjs")) data-worker=(crate::assets::map_path("maplibre-gl-worker.mjs")) data-island=(crate::assets::map_path("map.mjs"))
            data-lang=(crate::shell::tag(view.lang)) data-city=(city.id) data-layer=(wanted) data-day=(day) data-first=(first) data-last=(last) data-known=[view.known.as_deref()]
            data-levels=(levels.join("|")) data-standings=(standings.join("|")) {
            p { button type="button" data-start { (view.tr("打开可移动的地图", "Open the map that moves")) } " " span.soft { (view.tr("约 360 KB，只在打开时下载", "about 360 KB, fetched only when opened")) } output role="status" {} }
        }
    }
}

fn outlet_legend(view: &View) -> Markup {
    html! { ul.levels.outlets aria-label=(view.tr("排放口的状态", "How outlets stand")) { @for s in Standing::ALL {
        @let (sign, class) = s.sign();
        li { span class={ "verdict " (class) } { (sign) } " " (s.text().get(view.lang)) }
    } } }
}

/// Outlets that a drawing or list has room for.
const OUTLETS_MAX: usize = 200;

fn outlet_list(view: &View, outlets: &[Outlet]) -> Markup {
    let mut all: Vec<&Outlet> = outlets.iter().collect();
    let rank = |s: Standing| match s {
        Standing::Exceeded => 0,
        Standing::NeedsJudgement => 1,
        Standing::Silent => 2,
        Standing::Attained => 3,
        Standing::Heard => 4,
    };
    all.sort_by(|a, b| {
        rank(a.standing)
            .cmp(&rank(b.standing))
            .then(a.id.cmp(&b.id))
    });
    html! {
        h2 { (view.tr("排放口", "Outlets")) " (" (outlets.len()) ")" }
        p.soft { (view.tr("这是监测设备现在的状态，与所选日期无关；先列超标的。", "How their loggers stand now, whatever day is chosen; what is above the limit comes first.")) " " a href=(view.link("/devices")) { (view.tr("全部设备", "All devices")) } }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("排放口", "Outlet")) } th scope="col" { (view.tr("状态", "State")) } th scope="col" { (view.tr("最后通信", "Last heard")) } th.n scope="col" { (view.tr("设备", "Devices")) } } }
            tbody { @for o in all.iter().take(OUTLETS_MAX) { @let (sign, class) = o.standing.sign(); tr {
                th scope="row" { a href=(view.link(&o.link)) { (o.id) } }
                td { span class={ "verdict " (class) } { (sign) " " (o.standing.text().get(view.lang)) } }
                td { (o.heard.as_deref().unwrap_or("–")) } td.n { (o.devices) }
            } } }
        } }
    }
}

/// Through time by links, by a form, and (with the script) by a slider.
fn times(view: &View, day: Date, first: Date, last: Date, compare: Option<Date>) -> Markup {
    let step = |days: i32| {
        day.checked_add(jiff::Span::new().days(days))
            .ok()
            .filter(|d| (first..=last).contains(d))
    };
    let link = |to: Option<Date>, zh: &'static str, en: &'static str| {
        html! {
            @match to {
                Some(d) => a href=(view.with(&[("at", &d.to_string())])) { (view.tr(zh, en)) },
                None => span.soft { (view.tr(zh, en)) },
            }
        }
    };
    let total = (last - first).get_days();
    html! {
        nav.chips.time aria-label=(view.tr("时间", "Time")) {
            (link(step(-365), "« 一年前", "« a year"))
            (link(step(-30), "‹ 30 天前", "‹ 30 days"))
            (link(step(-1), "‹ 前一天", "‹ day before"))
            strong { time datetime=(day) { (show::day(view.lang, day)) } }
            (link(step(1), "后一天 ›", "day after ›"))
            (link(step(30), "30 天后 ›", "30 days ›"))
            (link(step(365), "一年后 »", "a year »"))
        }
        form.inline method="get" data-slide=(first) {
            label { (view.tr("日期", "Day")) " " input type="date" name="at" value=(day) min=(first) max=(last); }
            label.script { (view.tr("滑动选择日期", "Slide through the days")) " " input type="range" min="0" max=(total) value=((day - first).get_days()) data-range; }
            label { (view.tr("与另一天比较", "Compare with")) " " input type="date" name="compare" value=(compare.map(|d| d.to_string()).unwrap_or_default()) min=(first) max=(last); }
            button { (view.tr("显示", "Show")) }
        }
    }
}

/// The drawing: each station colours the area nearest to it; dots carry the value.
fn drawing(
    view: &View,
    city: &Subject,
    marks: &[Mark<'_>],
    layer: Layer,
    day: Date,
    outlets: &[Outlet],
) -> Markup {
    let lang = view.lang;
    let own: Vec<_> = LAYERS
        .iter()
        .filter(|l| l.city == city.id.as_str())
        .collect();
    let outline: Vec<Vec<(f64, f64)>> = own
        .iter()
        .filter(|l| l.closed)
        .flat_map(|l| l.lines())
        .collect();
    let placed: Vec<(&Mark<'_>, (f64, f64))> = marks
        .iter()
        .filter_map(|m| Some((m, (m.place.subject.lon_deg?, m.place.subject.lat_deg?))))
        .collect();
    let mut all: Vec<(f64, f64)> = placed.iter().map(|(_, p)| *p).collect();
    let bare = outline.is_empty();
    all.extend(outline.iter().flatten());
    if bare {
        all.extend(outlets.iter().map(|o| (o.lon, o.lat)));
    }
    let Some(frame) = Frame::around(&all, 640.0, if bare { 0.16 } else { 0.02 }) else {
        return html! { p.soft { (view.tr("站点没有坐标，见下面的列表。", "The stations have no coordinates; see the list below.")) } };
    };
    let sites: Vec<(f64, f64)> = placed.iter().map(|(_, p)| frame.px(*p)).collect();
    let areas = nearest_areas(&sites, frame.width, frame.height);
    let points: Vec<(f64, f64)> = outlets
        .iter()
        .take(OUTLETS_MAX)
        .map(|o| frame.px((o.lon, o.lat)))
        .collect();
    let stand = apart(&points, &sites, (frame.width, frame.height));
    let clip = format!("clip-{day}");
    let name = match layer {
        Layer::Aqi => view.tr("空气质量指数", "air quality index").to_owned(),
        Layer::Slot(_) => view
            .tr("各站日值", "daily values of the stations")
            .to_owned(),
    };
    let label = match lang {
        Lang::Zh => format!("{day} {name}地图；各站数值见下面的列表"),
        Lang::En => format!("Map of the {name} on {day}; the list below has every value"),
    };
    html! {
        figure.chart.map { svg viewBox={ "0 0 " (px(frame.width)) " " (px(frame.height)) } role="group" aria-label=(label) {
            @if !bare { defs { clipPath id=(clip) { path d=(frame.path(&outline, true, 0.7)) {} } } }
            g clip-path=[(!bare).then(|| format!("url(#{clip})"))] {
                @for ((m, _), area) in placed.iter().zip(&areas) {
                    path class={ "area l" (m.level.unwrap_or(0)) } d=(path(area, true)) {}
                }
            }
            @for l in &own { path class={ "geo " (l.id) } d=(frame.path(&l.lines(), l.closed, 0.7)) {} }
            g data-part="outlets-drawn" { @for (from, at) in points.iter().zip(&stand).filter(|(from, at)| from != at) {
                line.leader x1=(px(from.0)) y1=(px(from.1)) x2=(px(at.0)) y2=(px(at.1)) {}
            }
            @for (o, at) in outlets.iter().zip(&stand) {
                @let (sign, class) = o.standing.sign();
                a href=(view.link(&o.link)) {
                    title { (o.id) " · " (o.standing.text().get(lang)) }
                    rect.hit x=(px(at.0 - 12.0)) y=(px(at.1 - 12.0)) width="24" height="24" {}
                    rect class={ "outlet " (class) } x=(px(at.0 - 7.0)) y=(px(at.1 - 7.0)) width="14" height="14" {}
                    text class={ "mid outlet " (class) } x=(px(at.0)) y=(px(at.1 + 4.0)) { (sign) }
                }
            } }
            @for ((m, _), at) in placed.iter().zip(&sites) {
                a href=(view.link(&m.why)) {
                    title { (m.place.subject.name.get(lang)) " " (m.value.as_deref().unwrap_or("–")) @if !m.primary.is_empty() { " " (m.primary) } }
                    circle.hit cx=(px(at.0)) cy=(px(at.1)) r="15" {}
                    rect class={ "dot l" (m.level.unwrap_or(0)) } x=(px(at.0 - 17.0)) y=(px(at.1 - 10.0)) width="34" height="20" rx="10" {}
                    text class={ "mid t" (m.level.unwrap_or(0)) } x=(px(at.0)) y=(px(at.1 + 4.0)) { (m.value.as_deref().unwrap_or("–")) }
                    text.mid.place x=(px(at.0)) y=(px(at.1 + 23.0)) { (short(m.place.subject.name.get(lang))) }
                }
            }
        }
        figcaption { (match lang {
            Lang::Zh => "每个站点给离它最近的区域着色；这不是浓度的空间分布，也不是区界。",
            Lang::En => "Each station colours the area nearest to it; this is neither a field of concentrations nor a boundary.",
        }) @for l in &own { " " (l.credit) " (" (l.licence) ")" @if let Some(n) = l.approval { " " (n) } } }
        }
    }
}

/// Where the marks of outlets stand: each as near to its own point as it can be without covering the
/// mark or the name of a station, or another outlet. Where there is no room it stays at its point.
fn apart(points: &[(f64, f64)], stations: &[(f64, f64)], size: (f64, f64)) -> Vec<(f64, f64)> {
    const HALF: f64 = 12.0;
    const RINGS: u32 = 8;
    const DIRECTIONS: u32 = 12;
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for p in points {
        let free = |c: &(f64, f64)| {
            let inside =
                (HALF..=size.0 - HALF).contains(&c.0) && (HALF..=size.1 - HALF).contains(&c.1);
            // A station's mark is 34 by 20 around its point, its name stands below.
            let station = |s: &(f64, f64)| {
                (c.0 - s.0).abs() < HALF + 18.0
                    && (-HALF - 11.0..HALF + 27.0).contains(&(c.1 - s.1))
            };
            let outlet =
                |o: &(f64, f64)| (c.0 - o.0).abs() < 2.0 * HALF && (c.1 - o.1).abs() < 2.0 * HALF;
            inside && !stations.iter().any(station) && !out.iter().any(outlet)
        };
        let around = (1..=RINGS).flat_map(|ring| {
            (0..DIRECTIONS).map(move |d| {
                let turn = f64::from(d) / f64::from(DIRECTIONS) * std::f64::consts::TAU;
                let far = f64::from(ring) * HALF;
                (p.0 + far * turn.cos(), p.1 + far * turn.sin())
            })
        });
        let place = std::iter::once(*p).chain(around).find(free).unwrap_or(*p);
        out.push(place);
    }
    out
}

/// A name without the mark of simulation, which the page shows on top.
fn short(name: &str) -> &str {
    name.split(['（', '(']).next().unwrap_or(name).trim()
}

fn legend(view: &View, ev: &AirEvaluation, layer: Layer, marks: &[Mark<'_>], day: Date) -> Markup {
    let e = &ev.edition.edition;
    let missing = marks.iter().filter(|m| m.value.is_none()).count();
    let what = match layer {
        Layer::Aqi => view.tr("AQI", "AQI").to_owned(),
        Layer::Slot(k) => format!(
            "{} {} ({})",
            show::indicator(view.lang, e.slots[k].indicator.as_str()),
            show::statistic(view.lang, e.slots[k].statistic.as_str()),
            show::unit(view.lang, e.slots[k].unit.as_str())
        ),
    };
    html! {
        div.legend {
            p { (what) " · " (day) " · " (view.tr("无数据站点", "stations without data")) " " (missing) "/" (marks.len()) " · "
                (view.tr("依据", "under")) " " @for (k, i) in e.instruments.iter().take(3).enumerate() { @if k > 0 { ", " } a href=(view.link(&format!("/rules/{i}"))) { (i) } } }
            ul.levels { @for l in &e.levels { li { (show::level(l.value.name.get(view.lang), u8::try_from(l.value.level).unwrap_or(0))) " " span.soft { (l.value.low) @if let Some(h) = l.value.high { "–" (h) } @else { "+" } } } } }
        }
    }
}

/// The city's index on the 31 days around, each a link.
fn strip(view: &View, ev: &AirEvaluation, day: Date) -> Markup {
    let n = ev.city.indices.len();
    let d = usize::try_from((day - ev.first_day).get_days())
        .unwrap_or(0)
        .min(n.saturating_sub(1));
    let to = (d + 16).min(n);
    let from = to.saturating_sub(31);
    let most = ev.city.indices[from..to]
        .iter()
        .filter_map(|i| i.max)
        .max()
        .unwrap_or(100)
        .max(100);
    html! {
        figure.chart.strip {
            svg viewBox="0 0 651 96" role="group" aria-label=(view.tr("城市指数，前后各约半月，每天一个链接", "Index of the city, half a month either way, each day a link")) {
                @for (i, k) in (from..to).enumerate() {
                    @let index = &ev.city.indices[k];
                    @let date = date_of(ev.first_day, k);
                    @let tall = f64::from(index.aqi.unwrap_or(0)) / f64::from(most) * 62.0;
                    @let shape = index.level.and_then(|l| LEVEL_SHAPES.get(usize::from(l) - 1)).unwrap_or(&"");
                    a href=(view.with(&[("at", &date.to_string())])) aria-current=[(k == d).then_some("date")] {
                        title { (date) " AQI " (index.aqi.map_or("–".to_owned(), |a| a.to_string())) }
                        rect.hit x=(px(i as f64 * 21.0)) y="0" width="21" height="96" {}
                        rect class={ "l" (index.level.unwrap_or(0)) } x=(px(i as f64 * 21.0 + 2.0)) y=(px(80.0 - tall.max(3.0))) width="17" height=(px(tall.max(3.0))) {}
                        @if index.level.is_some_and(|l| l >= 3) { text.mid x=(px(i as f64 * 21.0 + 10.5)) y=(px(76.0 - tall)) { (shape) } }
                        text.mid .now[k == d] x=(px(i as f64 * 21.0 + 10.5)) y="94" { (date.day()) }
                    }
                }
            }
            figcaption { (view.tr("城市 AQI，按日；点一天即到那一天。", "AQI of the city by day; follow a day to go there.")) }
        }
    }
}

fn list(
    view: &View,
    ev: &AirEvaluation,
    layer: Layer,
    mut marks: Vec<Mark<'_>>,
    day: Date,
    sort: &str,
) -> Markup {
    let lang = view.lang;
    let (key, down) = sort.strip_prefix('-').map_or((sort, false), |k| (k, true));
    marks.sort_by(|a, b| {
        let name = |m: &Mark<'_>| m.place.subject.name.get(lang).to_owned();
        let district = |m: &Mark<'_>| {
            m.place
                .subject
                .district
                .as_ref()
                .map_or(String::new(), |d| d.get(lang).to_owned())
        };
        let order = match key {
            "name" => name(a).cmp(&name(b)),
            "district" => district(a).cmp(&district(b)).then(name(a).cmp(&name(b))),
            _ => a.sort.total_cmp(&b.sort).then(name(a).cmp(&name(b))),
        };
        // What has no value stays at the end either way.
        let missing = (a.value.is_none()).cmp(&b.value.is_none());
        missing.then(if down { order.reverse() } else { order })
    });
    let level = |l: u8| {
        ev.edition
            .edition
            .levels
            .iter()
            .find(|x| x.value.level == u32::from(l))
            .map_or("", |x| x.value.name.get(lang))
    };
    let what = match layer {
        Layer::Aqi => "AQI".to_owned(),
        Layer::Slot(k) => {
            let s = &ev.edition.edition.slots[k];
            format!(
                "{} ({})",
                show::indicator(lang, s.indicator.as_str()),
                show::unit(lang, s.unit.as_str())
            )
        }
    };
    html! {
        div.scroll tabindex="0" { table.sortable {
            caption.hide { (view.tr("各站数值", "Values of the stations")) " " (day) }
            thead { tr {
                (show::sort_head(view, "name", view.tr("站点", "Station"), sort, false))
                (show::sort_head(view, "district", view.tr("区", "District"), sort, false))
                (show::sort_head(view, "value", &what, sort, true))
                th scope="col" { (view.tr("级别", "Level")) } th scope="col" { (view.tr("首要污染物", "Primary pollutant")) }
            } }
            tbody { @for m in &marks { tr {
                th scope="row" { a href=(view.link(&format!("/air/station/{}?at={day}", m.place.subject.id))) { (m.place.subject.name.get(lang)) } @if m.place.control { " " span.soft { (view.tr("（对照点）", "(control)")) } } }
                td { (m.place.subject.district.as_ref().map_or("–", |d| d.get(lang))) }
                td.n { @match &m.value { Some(v) => a.figure href=(view.link(&m.why)) { (v) }, None => { "–" } } }
                td { @if let Some(l) = m.level { (show::level(level(l), l)) } @else { "–" } }
                td { @if m.primary.is_empty() { "–" } @else { (m.primary) } }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mark_of_simulation_is_cut_from_labels() {
        assert_eq!(super::short("河东（模拟）"), "河东");
        assert_eq!(super::short("Steelworks (simulated)"), "Steelworks");
        assert_eq!(super::short("东四"), "东四");
    }
}
