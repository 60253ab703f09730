//! The pages of devices and outlets; right without JavaScript, as of their loading.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_gateway::command::What;
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::state::{DeviceState, HOURS, finding};

use super::judge::{self, Judged, Outcome, Place};
use super::{Hub, Seen};
use crate::failure::Failure;
use crate::outlets::{Outlet, Standing};
use crate::shell::{View, encode, page, tr};
use crate::show;
use crate::words::{each, word};

type Shared = State<Arc<Hub>>;

/// Devices on one page.
const PAGE: usize = 100;

pub(super) fn place(hub: &Hub) -> Place<'_> {
    Place {
        book: hub.book,
        jurisdiction: &hub.jurisdiction,
        utc_offset_minutes: hub.follow.utc_offset_minutes,
    }
}

/// What the page's reader asks to be known, or the page that says why not.
async fn seen(hub: &Arc<Hub>, v: &View) -> Result<Arc<Seen>, Response> {
    hub.at(v.known.as_deref())
        .await
        .map_err(|e| Failure::Broken(e).page(v))
}

fn missing(v: &View, text: &str) -> Response {
    Failure::NotFound(text.to_owned()).page(v)
}

fn shown(v: &View, hub: &Hub, title: &str, body: Markup) -> Response {
    // The past does not change while one looks.
    let live = v.known.is_none();
    let body = html! {
        div data-live=[live.then(|| format!("/live/devices?lang={}", tr(v.lang, "zh", "en")))] data-script=[live.then_some("/static/devices.js")] { (body) }
    };
    Html(page(v, title, hub.simulated, body).into_string()).into_response()
}

/// Local time of an instant.
fn time(hub: &Hub, s: i64) -> String {
    let local = s + i64::from(hub.follow.utc_offset_minutes) * 60;
    jiff::Timestamp::from_second(local).map_or_else(
        |_| "–".into(),
        |t| {
            jiff::tz::TimeZone::UTC
                .to_datetime(t)
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

fn share_24h(now_ms: i64, s: &DeviceState) -> f64 {
    let now = now_ms.div_euclid(3_600_000);
    let every = s.interval_min();
    (1..=24).map(|h| s.share(now - h, every)).sum::<f64>() / 24.0
}

/// The cells of a device that change while one looks.
pub(super) fn cells(
    lang: Lang,
    hub: &Hub,
    now_ms: i64,
    s: &DeviceState,
) -> BTreeMap<&'static str, String> {
    let lag = s.lag_ms as f64 / 1_000.0;
    BTreeMap::from([
        (
            "seen",
            if s.seen_ms > 0 {
                time(hub, s.seen_ms / 1_000)
            } else {
                "–".into()
            },
        ),
        (
            "data",
            if s.data_s > 0 {
                time(hub, s.data_s)
            } else {
                "–".into()
            },
        ),
        ("lag", format!("{lag:.0} s")),
        ("frames", s.frames.to_string()),
        ("share", format!("{:.0} %", share_24h(now_ms, s) * 100.0)),
        (
            "findings",
            match s.findings.len() {
                0 => tr(lang, "无", "none").into(),
                n => n.to_string(),
            },
        ),
    ])
}

fn status(lang: Lang, d: &Device) -> &'static str {
    match d.last(&Property::Status) {
        Some("accepted") => tr(lang, "已确认", "confirmed"),
        Some("refused") => tr(lang, "拒收", "refused"),
        _ => tr(lang, "待确认", "waits"),
    }
}

fn system(lang: Lang, hub: &Hub, st: &str) -> String {
    match hub.book.vocabulary().hj212.system(st) {
        Some(s) => s.name.get(lang).to_owned(),
        None if st.is_empty() => "–".into(),
        None => st.to_owned(),
    }
}

fn head(lang: Lang, words: &[(&str, &str, bool)]) -> Markup {
    html! { thead { tr { @for (zh, en, number) in words { th scope="col" class=[number.then_some("n")] { (tr(lang, zh, en)) } } } } }
}

/// Devices whose number or outlet holds a text, in order of MN.
pub(super) fn found(seen: &Seen, search: &str) -> Vec<Arc<Device>> {
    let mut all = seen.registry.devices();
    all.retain(|d| {
        let subject = d.last(&Property::Subject);
        search.is_empty() || d.mn.contains(search) || subject.is_some_and(|s| s.contains(search))
    });
    all
}

/// The tables of a page as files.
fn files(v: &View, tables: &[(&str, &str, &'static str, &'static str)]) -> Markup {
    let files: Vec<show::File> = tables
        .iter()
        .map(|(name, query, zh, en)| (format!("/api/v1/device-tables/{name}{query}"), *zh, *en))
        .collect();
    show::downloads(v, &files)
}

pub(super) async fn list(
    State(hub): Shared,
    v: View,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let seen = match seen(&hub, &v).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let l = v.lang;
    let search = q.get("q").map_or("", String::as_str).trim();
    let all = found(&seen, search);
    let at = q
        .get("page")
        .and_then(|p| p.parse::<usize>().ok())
        .unwrap_or(1)
        .clamp(1, all.len().div_ceil(PAGE).max(1));
    let now = seen.now_ms;
    let (mut online, mut recent, mut share, mut known) = (0, 0, 0.0, 0);
    for d in &all {
        online += u32::from(!seen.past && hub.caller.online(d.number));
        if let Some(s) = seen.state.device(d.number) {
            recent += u32::from(now - s.seen_ms < 3_600_000);
            share += share_24h(now, &s);
            known += 1;
        }
    }
    let stats = hub.stats.now();
    let body = html! {
        h1 { (tr(l, "设备", "Devices")) }
        p.lead { (match l {
            Lang::Zh if seen.past => format!("{} 台设备：{recent} 台在此前一小时内有数据；24 小时数据获取率 {:.0} %。", all.len(), 100.0 * share / f64::from(known.max(1))),
            Lang::En if seen.past => format!("{} devices: {recent} had been heard within the hour; {:.0} % of the data of the 24 hours before had come.", all.len(), 100.0 * share / f64::from(known.max(1))),
            Lang::Zh => format!("{} 台设备：{online} 台在线，{recent} 台在一小时内有数据；24 小时数据获取率 {:.0} %。", all.len(), 100.0 * share / f64::from(known.max(1))),
            Lang::En => format!("{} devices: {online} connected, {recent} heard within the hour; {:.0} % of the data of the last 24 hours came.", all.len(), 100.0 * share / f64::from(known.max(1))),
        }) }
        @if !seen.past { dl.pairs {
            dt { (tr(l, "已入库帧", "Frames stored")) } dd { (stats.frames) }
            dt { (tr(l, "重发（只存一次）", "Resent, stored once")) } dd { (stats.doubles) }
            dt { (tr(l, "隔离", "In quarantine")) } dd { (stats.quarantined) }
            @if let Some(d) = hub.follow.progress.open_day() { dt { (tr(l, "今日默克尔根（未结）", "Merkle root of the day (open)")) } dd.code { (d.day) " " (hex(&d.root)) } }
        } }
        p { a href="/api/v1/roots" { (tr(l, "各日的根", "Roots of closed days")) } }
        form.inline method="get" { label { (tr(l, "查找", "Search")) " " input type="search" name="q" value=(search); } button { (tr(l, "显示", "Show")) } }
        div.scroll tabindex="0" { table {
            caption { (tr(l, "按设备编号", "By MN")) }
            (head(l, &[("设备编号 MN", "MN", false), ("对象", "Outlet", false), ("系统", "System", false), ("登记", "Register", false), ("最后通信", "Last heard", false), ("数据时间", "Data of", false), ("延迟", "Lag", true), ("24 小时获取率", "Came in 24 h", true), ("不符合项", "Findings", true), ("待答", "Questions", true)]))
            tbody { @for d in all.iter().skip((at - 1) * PAGE).take(PAGE) {
                @let s = seen.state.device(d.number).unwrap_or_default();
                @let c = cells(l, &hub, now, &s);
                tr data-device=(d.mn) {
                    th scope="row" { a href=(v.link(&format!("/devices/{}", encode(&d.mn)))) { (d.mn) } }
                    td { @if let Some(o) = d.last(&Property::Subject) { a href=(v.link(&format!("/outlets/{}", encode(o)))) { (o) } } @else { "–" } }
                    td { (system(l, &hub, &s.st)) }
                    td { (status(l, d)) @if !seen.past && hub.caller.online(d.number) { " · " (tr(l, "在线", "connected")) } }
                    td data-key="seen" { (c["seen"]) }
                    td data-key="data" { (c["data"]) }
                    td.n data-key="lag" { (c["lag"]) }
                    td.n data-key="share" { (c["share"]) }
                    td.n data-key="findings" { (c["findings"]) }
                    td.n { (d.proposals.len()) }
                }
            } }
        } }
        (files(&v, &[("devices", &format!("?q={}", encode(search)), "设备", "Devices")]))
        @if all.is_empty() { p.note { (tr(l, "还没有设备：让数采仪连接到网关的地址。", "No device yet: point a logger at the gateway's address.")) } }
        @if all.len() > PAGE { p { @for p in 1..=all.len().div_ceil(PAGE) { @if p == at { strong { (p) } " " } @else { a href=(v.link(&format!("/devices?page={p}&q={}", encode(search)))) { (p) } " " } } } }
    };
    shown(&v, &hub, tr(l, "设备", "Devices"), body)
}

fn hex(h: &[u8; 32]) -> String {
    h.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) async fn device(
    State(hub): Shared,
    v: View,
    Path((_, mn)): Path<(String, String)>,
) -> Response {
    let seen = match seen(&hub, &v).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(d) = seen.registry.find(&mn) else {
        return missing(&v, "No device with this MN was seen or registered by then.");
    };
    let l = v.lang;
    let s = seen.state.device(d.number).unwrap_or_default();
    let subject = d.last(&Property::Subject);
    let marks = judge::marks(&seen, &beside(&seen, &d));
    let judged = judge::judge(place(&hub), &d, &s, &marks);
    let lines = hub.commands(&mn, &seen).await;
    let c = cells(l, &hub, seen.now_ms, &s);
    let body = html! {
        h1 { (tr(l, "设备", "Device")) " " (d.mn) }
        p.lead data-device=(d.mn) { (system(l, &hub, &s.st)) " · " (status(l, &d)) " · " (tr(l, "最后通信", "last heard")) " " span data-key="seen" { (c["seen"]) } " · " (tr(l, "延迟", "lag")) " " span data-key="lag" { (c["lag"]) } " · " (tr(l, "帧", "frames")) " " span data-key="frames" { (c["frames"]) } }
        @if let Some(o) = subject { p { a href=(v.link(&format!("/outlets/{}", encode(o)))) { (tr(l, "排放口", "Outlet")) " " (o) } } }
        @if !d.proposals.is_empty() {
            h2 { (tr(l, "网关的提问，等人确认", "What the gateway asks; a person decides")) }
            div.scroll tabindex="0" { table { (head(l, &[("属性", "Property", false), ("建议值", "Proposed", false), ("依据", "From", false), ("如何确认", "How to confirm", false)]))
                tbody { @for p in &d.proposals { tr { th scope="row" { (p.property) } td { (p.value) } td { (p.why) } td.code { "miyun gateway set " (d.mn) " " (p.property) "=" (p.value) " --by NAME --why ..." } } } } } }
        }
        h2 { (tr(l, "登记的属性", "What is registered")) }
        div.scroll tabindex="0" { table { (head(l, &[("属性", "Property", false), ("值", "Value", false), ("自", "From", false), ("谁", "Who", false)]))
            tbody { @for (p, values) in &d.properties { @for x in values.iter().rev() { tr { th scope="row" { (each(l, &p.to_string())) } td { @if matches!(p, Property::Key | Property::Password) { "•••" } @else { (word(l, &x.value)) } } td { @if x.from_ms > 0 { (time(&hub, x.from_ms / 1_000)) } @else { (tr(l, "一开始", "the beginning")) } } td { (word(l, &x.by)) } } } } } } }
        h2 { (tr(l, "最新数据", "Latest values")) }
        div.scroll data-part="values" tabindex="0" { table { (head(l, &[("因子", "Factor", false), ("项", "Item", false), ("时段", "Span", false), ("值", "Value", true), ("单位", "Unit", false), ("标记", "Flag", false), ("时间", "Time", false)]))
            tbody { @for ((code, attribute, span), x) in &s.values {
                @let unit = judge::unit_of(hub.book, &d, code, x.label_s * 1_000);
                tr { th scope="row" { (factor(l, &hub, code)) } td { (attribute) } td { (tr(l, match span.as_str() { "real-time" => "实时", "minute" => "分钟", "hour" => "小时", "day" => "日", other => other }, span.as_str())) } td.n { (miyun_core::Decimal::new(x.micro, 6).normalize()) }
                    td { @match (&x.unit, unit) { (Some(u), _) => (u), (None, Some((u, assumed))) => { (u) @if assumed { " " span.soft { (tr(l, "（标准默认，未登记）", "(the standard's default, not registered)")) } } } (None, None) => "–" } }
                    td { (flag(l, &hub, x.flag)) } td { (time(&hub, x.label_s)) } }
            } } } }
        div data-part="hours" {
            (hours_received(l, &hub, seen.now_ms, &s))
            (judged_table(&v, &hub, &judged))
        }
        h2 { (tr(l, "不符合标准之处", "What its frames break of the standard")) }
        @if s.findings.is_empty() { p { (tr(l, "没有。", "Nothing.")) } } @else {
            p.soft { (tr(l, "这是关于设备的说明，从不是丢弃数据的理由。", "A statement about the device, never a reason to lose data.")) }
            ul { @for (code, n) in &s.findings { li { (finding(code).map_or((*code).to_owned(), |f| f.words(l).to_owned())) ": " (n) } } }
        }
        h2 { (tr(l, "命令", "Commands")) }
        div.scroll tabindex="0" { table { (head(l, &[("时间", "When", false), ("经过", "What happened", false)]))
            tbody { @for line in lines.iter().rev().take(40) { tr { td { (time(&hub, line.at_ms / 1_000)) } td { (step(l, &line.what)) } } } } } }
        @let of = format!("?mn={}", encode(&d.mn));
        (files(&v, &[("values", &of, "最新数据", "Latest values"), ("received", &of, "按小时的数据到达率", "Share of data received, by hour"), ("hours", &of, "小时均值判定", "Hours judged"), ("properties", &of, "登记的属性", "What is registered"), ("findings", &of, "不符合标准之处", "What its frames break"), ("commands", &of, "命令", "Commands")]))
    };
    shown(
        &v,
        &hub,
        &format!("{} {}", tr(l, "设备", "Device"), d.mn),
        body,
    )
}

fn factor(l: Lang, hub: &Hub, code: &str) -> String {
    match hub.book.vocabulary().hj212.factor(code) {
        miyun_rulebook::hj212::Known::Factor(f) if l == Lang::Zh && !f.zh.is_empty() => {
            format!("{code} {}", f.zh)
        }
        _ => code.to_owned(),
    }
}

fn flag(l: Lang, hub: &Hub, f: char) -> String {
    let text = f.to_string();
    match hub.book.vocabulary().hj212.named("Flag", &text) {
        Some(n) => format!("{text} {}", n.name.get(l)),
        None => text,
    }
}

pub(super) fn step(l: Lang, w: &What) -> String {
    match w {
        What::Asked { by, why, ask, .. } => format!(
            "{} {by}: {} ({why})",
            tr(l, "请求者", "asked by"),
            serde_json::to_string(ask).unwrap_or_default()
        ),
        What::Sent { qn, times } => {
            format!("{} {times}: QN={qn}", tr(l, "已发送，第", "sent, time"))
        }
        What::Answered { qn_rtn } => format!("9011 QnRtn={qn_rtn}"),
        What::Done { words, .. } => format!("{}: {words}", tr(l, "结束", "over")),
    }
}

fn hours_received(l: Lang, hub: &Hub, now_ms: i64, s: &DeviceState) -> Markup {
    let now = now_ms.div_euclid(3_600_000);
    let every = s.interval_min();
    let hours: Vec<(i64, f64)> = (0..HOURS as i64)
        .rev()
        .map(|h| (now - h, s.share(now - h, every)))
        .collect();
    let whole = hours.iter().filter(|(_, x)| *x >= 0.75).count();
    html! {
        h2 { (tr(l, "按小时的数据到达率", "Share of data received, by hour")) }
        figure.chart {
            figcaption { (match l {
                Lang::Zh => format!("最近 {HOURS} 小时中有 {whole} 小时至少到达四分之三（按每 {every} 分钟一次计）。"),
                Lang::En => format!("In {whole} of the last {HOURS} hours at least three quarters came (one report every {every} min)."),
            }) }
            svg viewBox="0 0 480 60" role="img" aria-label=(tr(l, "每小时到达率柱状图", "bars of the share of each hour")) {
                @for (i, (_, x)) in hours.iter().enumerate() {
                    rect class="s1" x=(i * 10) y=(format!("{:.1}", 58.0 - 56.0 * x)) width="8" height=(format!("{:.1}", 56.0 * x + 2.0)) {}
                }
            }
            details { summary { (tr(l, "数据表", "Table")) }
                table { (head(l, &[("小时", "Hour", false), ("到达率", "Share", true)]))
                    tbody { @for (h, x) in hours.iter().rev() { tr { th scope="row" { (time(hub, h * 3_600)) } td.n { (format!("{:.0} %", x * 100.0)) } } } } } }
        }
    }
}

fn judged_table(v: &View, hub: &Hub, judged: &[Judged]) -> Markup {
    let l = v.lang;
    let over = judged
        .iter()
        .filter(|j| j.outcome == Outcome::Exceeded)
        .count();
    // Of older hours only those that somebody must act on.
    let acted_on = |o| matches!(o, Outcome::Exceeded | Outcome::NeedsJudgement);
    let shown = (judged.iter().enumerate())
        .filter(|(k, j)| *k < 96 || acted_on(j.outcome))
        .map(|(_, j)| j);
    html! {
        h2 { (tr(l, "小时均值判定", "Hours judged")) }
        @if judged.is_empty() {
            p { (tr(l, "没有可判定的小时均值：需要小时数据（2061）并登记因子对应的指标（indicator.因子）。", "No hour to judge: it takes hour data (2061) and the indicator of each factor in the register (indicator.FACTOR).")) }
        } @else {
            p { (match l { Lang::Zh => format!("{} 个小时值，{over} 个超过限值。", judged.len()), Lang::En => format!("{} hour values, {over} above the limit.", judged.len()) }) }
            @if let Some(m) = judged.iter().find_map(|j| j.minutes.as_ref()) {
                p.soft { (match l { Lang::Zh => format!("有效分钟：HJ 212-2017 {}，小时均值至少有 {} 个有效分钟均值。", m.clause, m.needed), Lang::En => format!("Valid minutes: HJ 212-2017 {}, an hour mean takes at least {} valid minute means.", m.clause, m.needed) }) }
            }
            div.scroll tabindex="0" { table { (head(l, &[("小时", "Hour", false), ("指标", "Indicator", false), ("值", "Value", true), ("限值", "Limit", true), ("单位", "Unit", false), ("有效分钟", "Valid min", true), ("结论", "Verdict", false), ("依据", "Rule", false)]))
                tbody { @for j in shown { tr {
                    th scope="row" { (time(hub, j.label_s)) } td { (j.indicator) } td.n { (j.value) } td.n { (j.limit.map_or("–".into(), |x| x.to_string())) } td { (j.unit) }
                    td.n { @if let Some(m) = &j.minutes { (m.valid) "/" (m.needed) } @else { "–" } }
                    td { (outcome(l, j.outcome)) }
                    td { @if let Some(r) = &j.rule { a href=(v.link(&format!("/rules/{}", r.instrument))) { (r.instrument) } " " (r.clause) } @else { "–" } }
                } } } } }
        }
    }
}

fn outcome(l: Lang, o: Outcome) -> Markup {
    let (class, sign, zh, en) = match o {
        Outcome::Attained => ("good", "✓", "达标", "attained"),
        Outcome::Exceeded => ("bad", "×", "超标", "exceeded"),
        Outcome::Insufficient => ("none", "?", "数据无效", "not a measurement"),
        Outcome::TooFewMinutes => ("none", "?", "有效分钟不足", "too few valid minutes"),
        Outcome::NotConverted => (
            "none",
            "?",
            "未折算，不能判定",
            "not converted, cannot be judged",
        ),
        Outcome::NeedsJudgement => (
            "warn",
            "!",
            "启停标记，待人工认定",
            "start-up or shut-down marked: a person decides",
        ),
        Outcome::NoLimit => ("none", "–", "无适用限值", "no limit holds here"),
    };
    html! { span class={ "verdict " (class) } { (sign) " " (tr(l, zh, en)) } }
}

/// Outlets with a place, and how each stands by the latest judged hour of its devices.
pub(super) fn outlets(hub: &Hub, seen: &Seen) -> Vec<Outlet> {
    let mut by_id: BTreeMap<String, Vec<Arc<Device>>> = BTreeMap::new();
    for d in seen.registry.devices() {
        if let Some(s) = d.last(&Property::Subject) {
            by_id.entry(s.to_owned()).or_default().push(d);
        }
    }
    by_id
        .into_iter()
        .filter_map(|(id, devices)| {
            let (lon, lat) = devices.iter().find_map(|d| d.position())?;
            // What comes late speaks of the past: heard is the newest that was said of its own time.
            let states = devices.iter().filter_map(|d| seen.state.device(d.number));
            let (heard, fresh) = states.fold((0, 0), |(heard, fresh), s| {
                let until = |span_s: i64| s.seen_ms.min((s.data_s + span_s) * 1_000);
                // The mean of an hour is of the hour from its label on.
                (until(0).max(heard), until(3_600).max(fresh))
            });
            let judged = judged(hub, seen, &devices);
            let latest = judged.first().map(|j| j.label_s);
            let over = judged
                .iter()
                .filter(|j| Some(j.label_s) == latest)
                .map(|j| j.outcome)
                .max_by_key(|o| match o {
                    Outcome::Exceeded => 4,
                    Outcome::NeedsJudgement => 3,
                    Outcome::Attained => 2,
                    Outcome::Insufficient | Outcome::TooFewMinutes | Outcome::NotConverted => 1,
                    Outcome::NoLimit => 0,
                });
            let standing = match over {
                _ if seen.now_ms - fresh >= 3_600_000 => Standing::Silent,
                Some(Outcome::Exceeded) => Standing::Exceeded,
                Some(Outcome::NeedsJudgement) => Standing::NeedsJudgement,
                Some(Outcome::Attained) => Standing::Attained,
                _ => Standing::Heard,
            };
            Some(Outlet {
                link: format!("/outlets/{}", encode(&id)),
                heard: (heard > 0).then(|| time(hub, heard / 1_000)),
                devices: devices.len(),
                id,
                lon,
                lat,
                standing,
            })
        })
        .collect()
}

/// Devices that measure an outlet.
pub(super) fn at_outlet(seen: &Seen, id: &str) -> Vec<Arc<Device>> {
    let mut all = seen.registry.devices();
    all.retain(|d| d.last(&Property::Subject) == Some(id));
    all
}

/// Devices that measure what `d` measures, itself included.
pub(super) fn beside(seen: &Seen, d: &Device) -> Vec<Arc<Device>> {
    d.last(&Property::Subject)
        .map_or(Vec::new(), |s| at_outlet(seen, s))
}

/// The hours of all devices of an outlet, judged, newest first.
pub(super) fn judged(hub: &Hub, seen: &Seen, devices: &[Arc<Device>]) -> Vec<Judged> {
    let marks = judge::marks(seen, devices);
    let mut judged = Vec::new();
    for d in devices {
        if let Some(s) = seen.state.device(d.number) {
            judged.extend(judge::judge(place(hub), d, &s, &marks));
        }
    }
    judged.sort_by_key(|j| std::cmp::Reverse(j.label_s));
    judged
}

pub(super) async fn outlet(
    State(hub): Shared,
    v: View,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    let seen = match seen(&hub, &v).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let devices = at_outlet(&seen, &id);
    if devices.is_empty() {
        return missing(&v, "No device measured an outlet of this name by then.");
    }
    let l = v.lang;
    let marks = judge::marks(&seen, &devices);
    let judged = judged(&hub, &seen, &devices);
    let body = html! {
        h1 { (tr(l, "排放口", "Outlet")) " " (id) }
        h2 { (tr(l, "监测设备", "Devices")) }
        ul { @for d in &devices { @let s = seen.state.device(d.number).unwrap_or_default(); @let c = cells(l, &hub, seen.now_ms, &s);
            li data-device=(d.mn) { a href=(v.link(&format!("/devices/{}", encode(&d.mn)))) { (d.mn) } " · " (system(l, &hub, &s.st)) " · " span data-key="seen" { (c["seen"]) } " · " span data-key="share" { (c["share"]) } } } }
        div data-part="hours" {
        @if let Some((t, m)) = marks.last() { p { (tr(l, "工况标记", "Condition mark")) ": " (m) " · " (time(&hub, *t)) } }
        (judged_table(&v, &hub, &judged))
        }
        (files(&v, &[("hours", &format!("?outlet={}", encode(&id)), "小时均值判定", "Hours judged")]))
    };
    shown(
        &v,
        &hub,
        &format!("{} {id}", tr(l, "排放口", "Outlet")),
        body,
    )
}
