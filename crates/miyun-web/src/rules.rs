//! The rulebook, readable: an instrument with its tables as printed, its dates, its doubts.

use maud::{Markup, html};
use miyun_core::rule::{Above, Body, Breakpoints, Limit};
use miyun_core::text::Lang;
use miyun_core::{Instrument, Period};

use crate::said::{clause, stage};
use crate::shell::tr;
use crate::show;
use crate::words::{each, word};

/// The list of instruments: those in force first, then by medium and id.
#[must_use]
pub fn list(
    lang: Lang,
    link: &dyn Fn(&str) -> String,
    instruments: &[Instrument],
    on: miyun_core::Date,
) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (tr(lang, "文件", "Instrument")) }
                th scope="col" { (tr(lang, "名称", "Title")) }
                th scope="col" { (tr(lang, "施行期", "In force")) }
                th scope="col" { (tr(lang, "状态", "State")) }
                th.n scope="col" { (tr(lang, "未核实的表", "Tables not verified")) }
            } }
            tbody { @for i in instruments {
                tr {
                    th scope="row" { a href=(link(&format!("/rules/{}", i.id))) { (i.id) } }
                    td { (i.title.get(lang)) }
                    td { (period(lang, &i.in_force)) }
                    td { (state(lang, i, on)) }
                    td.n { (i.tables.iter().filter(|t| !t.verified).count()) " / " (i.tables.len()) }
                }
            } }
        } }
    }
}

fn state(lang: Lang, i: &Instrument, on: miyun_core::Date) -> Markup {
    if i.in_force.contains(on) {
        html! { span.verdict.good { (tr(lang, "✓ 现行", "✓ in force")) } }
    } else if i.in_force.from.is_some_and(|f| f > on) {
        html! { span.verdict.warn { (tr(lang, "将施行", "to come")) } }
    } else {
        html! { span.verdict.none { (tr(lang, "已被代替", "superseded")) } }
    }
}

/// A period in words.
#[must_use]
pub fn period(lang: Lang, p: &Period) -> String {
    match (p.from, p.until) {
        (Some(f), None) => format!("{} {f}", tr(lang, "自", "since")),
        (None, Some(u)) => format!("{} {u}", tr(lang, "至", "until")),
        (Some(f), Some(u)) => format!("{f} {} {u}", tr(lang, "至", "to")),
        (None, None) => tr(lang, "未限定", "always").to_owned(),
    }
}

/// One instrument, whole.
#[must_use]
pub fn instrument(lang: Lang, link: &dyn Fn(&str) -> String, i: &Instrument) -> Markup {
    html! {
        h1 { (i.title.get(lang)) }
        p.lead { span.code { (i.id) } }
        @if let Some(note) = &i.note { p.note { (note.get(lang)) } }
        dl.pairs {
            dt { (tr(lang, "施行期", "In force")) } dd { (period(lang, &i.in_force)) }
            @if let Some(d) = i.issued { dt { (tr(lang, "发布", "Issued")) } dd { (d) } }
            dt { (tr(lang, "发布机构", "Issuer")) } dd { @for (k, x) in i.issuer.iter().enumerate() { @if k > 0 { "，" } span lang=[x.is_ascii().then_some("en")] { (x) } } }
            dt { (tr(lang, "适用地区", "Jurisdiction")) } dd { (i.jurisdiction) }
            @for a in &i.adopted { dt { (tr(lang, "提前实施", "Applied earlier")) } dd { (a.jurisdiction) " " (period(lang, &Period { from: Some(a.from), until: None })) } }
            @for s in &i.supersedes { dt { (tr(lang, "代替", "Supersedes")) } dd { a href=(link(&format!("/rules/{s}"))) { (s) } } }
            @if let Some(a) = &i.amends { dt { (tr(lang, "修改", "Amends")) } dd { a href=(link(&format!("/rules/{a}"))) { (a) } } }
            @for s in &i.stages { dt { @if lang == Lang::En { "Stage " } (stage(lang, &s.id)) } dd { (period(lang, &s.period)) } }
            @for b in &i.legal_basis { dt { (tr(lang, "法律依据", "Legal basis")) } dd {
                (b.law.get(lang)) " " (clause(lang, &b.clause)) " (" (period(lang, &Period { from: b.from, until: b.until })) ")"
                @if !b.verified { " " (unverified(lang)) }
            } }
        }
        h2 { (tr(lang, "规定", "Rules")) }
        @for t in &i.tables {
            section id={ "table-" (t.id) } {
                h3 { (clause(lang, &t.clause)) @if !t.verified { " " (unverified(lang)) } }
                @if t.where_adopted { p.soft { (tr(lang, "仅在主管部门规定实施之处适用。", "Holds only where the authority adopts it.")) } }
                @if !t.note.is_empty() { p.soft lang="en" { (t.note) } }
                (body(lang, i, &t.body))
            }
        }
        h2 { (tr(lang, "出处", "Citations")) }
        ul { @for c in &i.citations { li id={ "citation-" (c.id) } {
            span lang="en" { (c.title) }
            @if !c.url.is_empty() { " — " a href=(c.url) rel="noreferrer" { (c.url) } }
            br; span.soft { (tr(lang, "核对", "Checked")) " " (c.checked.on) ": " span lang="en" { (c.checked.how) } }
        } } }
    }
}

/// The mark of what nobody has read in the law.
#[must_use]
pub fn unverified(lang: Lang) -> Markup {
    html! { span.verdict.warn { "⚠ " (tr(lang, "未核实", "not verified")) } }
}

fn body(lang: Lang, i: &Instrument, body: &Body) -> Markup {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let header: Vec<&str> = match body {
        Body::Limit(limits) => return limit_table(lang, i, limits),
        Body::Breakpoints(b) => return breakpoint_table(lang, b),
        Body::Bands(bands) => {
            for b in bands {
                rows.push(vec![
                    show::indicator(lang, b.indicator.as_str()),
                    show::statistic(lang, b.statistic.as_str()),
                    show::unit(lang, b.unit.as_str()).to_owned(),
                    b.category.clone(),
                    range(b.low, b.high),
                    range(b.index_low, b.index_high),
                ]);
            }
            vec![
                "indicator",
                "statistic",
                "unit",
                "band",
                "concentration",
                "index",
            ]
        }
        Body::Validity(v) => {
            for r in v {
                let mut need = format!("≥ {}", r.at_least);
                if let Some(u) = &r.unless {
                    need.push_str(&format!(
                        " ({} {})",
                        tr(lang, "除非", "unless"),
                        word(lang, u)
                    ));
                }
                rows.push(vec![
                    show::indicator(lang, r.indicator.as_str()),
                    show::statistic(lang, r.statistic.as_str()),
                    show::statistic(lang, r.of.as_str()),
                    need,
                    word(lang, &r.per).to_owned(),
                    mark(lang, r.verified),
                ]);
            }
            vec!["indicator", "statistic", "of", "at least", "per", ""]
        }
        Body::Level(levels) => {
            for l in levels {
                rows.push(vec![
                    l.level.to_string(),
                    range(l.low, l.high),
                    l.name.get(lang).into(),
                    l.effect.get(lang).into(),
                    l.advice.get(lang).into(),
                ]);
            }
            vec!["level", "index", "name", "effect", "advice"]
        }
        Body::Item(items) => {
            for r in items {
                rows.push(vec![
                    show::indicator(lang, r.indicator.as_str()),
                    show::statistic(lang, r.statistic.as_str()),
                    show::statistic(lang, r.of.as_str()),
                    r.percentile.map(|p| p.to_string()).unwrap_or_default(),
                    show::statistic(lang, r.limit.as_str()),
                    r.weight.map(|w| w.to_string()).unwrap_or_default(),
                    mark(lang, r.verified),
                ]);
            }
            vec![
                "indicator",
                "statistic",
                "of",
                "percentile",
                "limit of",
                "weight",
                "",
            ]
        }
        Body::Rounding(r) => {
            for r in r {
                rows.push(vec![
                    each(lang, &r.of),
                    each(lang, &r.step),
                    r.decimals.to_string(),
                    word(lang, r.rule.as_str()).to_owned(),
                    mark(lang, r.verified),
                ]);
            }
            vec!["quantity", "step", "decimals", "rule", ""]
        }
        Body::Parameter(p) => {
            for r in p {
                rows.push(vec![
                    word(lang, &r.name).to_owned(),
                    r.indicator
                        .as_ref()
                        .map(|i| show::indicator(lang, i.as_str()))
                        .unwrap_or_default(),
                    each(lang, &r.value),
                    word(lang, show::unit(lang, &r.unit)).to_owned(),
                    clause(lang, &r.clause),
                    mark(lang, r.verified),
                ]);
            }
            vec!["parameter", "indicator", "value", "unit", "clause", ""]
        }
        Body::Trigger(t) => {
            for r in t {
                let day = show::unit(lang, "d");
                let mut when = format!(
                    "{} {} > {} × {} {day}",
                    show::statistic(lang, r.statistic.as_str()),
                    show::indicator(lang, r.metric.as_str()),
                    r.above,
                    r.days
                );
                if let (Some(a), Some(d)) = (r.with_above, r.with_days) {
                    when.push_str(&format!(", > {a} × {d} {day}"));
                }
                rows.push(vec![
                    word(lang, &r.level).to_owned(),
                    when,
                    mark(lang, r.verified),
                ]);
            }
            vec!["level", "when", ""]
        }
        Body::Condition(c) => {
            for r in c {
                let ambient = || tr(lang, "实测状态", "as measured").to_owned();
                rows.push(vec![
                    show::indicator(lang, r.indicator.as_str()),
                    period(lang, &r.period),
                    r.temperature_k.map_or_else(ambient, |t| format!("{t} K")),
                    r.pressure_hpa.map_or_else(ambient, |p| format!("{p} hPa")),
                ]);
            }
            vec!["indicator", "period", "temperature", "pressure"]
        }
    };
    html! { div.scroll tabindex="0" { table {
        thead { tr { @for h in header { th scope="col" { (column(lang, h)) } } } }
        tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
    } } }
}

/// Column names in the reader's language.
fn column(lang: Lang, name: &str) -> &str {
    let zh = match name {
        "indicator" => "项目",
        "statistic" => "统计量",
        "of" => "基于",
        "unit" => "单位",
        "band" => "级别",
        "concentration" => "浓度",
        "index" => "指数",
        "at least" => "至少",
        "per" => "每",
        "level" => "级别",
        "name" => "名称",
        "effect" => "健康影响",
        "advice" => "建议",
        "percentile" => "百分位",
        "limit of" => "限值",
        "weight" => "权重",
        "quantity" => "量",
        "step" => "步骤",
        "decimals" => "小数位",
        "rule" => "规则",
        "parameter" => "参数",
        "value" => "值",
        "clause" => "条款",
        "when" => "条件",
        "period" => "期间",
        "temperature" => "温度",
        "pressure" => "气压",
        other => other,
    };
    tr(lang, zh, name)
}

fn mark(lang: Lang, verified: bool) -> String {
    if verified {
        String::new()
    } else {
        format!("⚠ {}", tr(lang, "未核实", "not verified"))
    }
}

fn range(low: miyun_core::Decimal, high: Option<miyun_core::Decimal>) -> String {
    match high {
        Some(h) => format!("{low}–{h}"),
        None => format!("≥ {low}"),
    }
}

fn limit_table(lang: Lang, i: &Instrument, limits: &[Limit]) -> Markup {
    let mut columns: Vec<(Option<&str>, Option<&str>)> = Vec::new();
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for l in limits {
        let c = (l.stage.as_deref(), l.class.as_deref());
        if !columns.contains(&c) {
            columns.push(c);
        }
        let r = (l.indicator.as_str(), l.statistic.as_str(), l.unit.as_str());
        if !rows.contains(&r) {
            rows.push(r);
        }
    }
    let class_name = |id: &str| {
        i.classes
            .iter()
            .find(|c| c.id == id)
            .map_or(id.to_owned(), |c| c.name.get(lang).to_owned())
    };
    let find = |r: &(&str, &str, &str), c: &(Option<&str>, Option<&str>)| {
        limits.iter().find(|l| {
            (l.indicator.as_str(), l.statistic.as_str(), l.unit.as_str()) == *r
                && (l.stage.as_deref(), l.class.as_deref()) == *c
        })
    };
    html! { div.scroll tabindex="0" { table {
        thead { tr {
            @for h in ["indicator", "statistic", "unit"] { th scope="col" { (column(lang, h)) } }
            @for (stage, class) in &columns { th.n scope="col" { (stage.map_or("", |s| self::stage(lang, s))) " " (class.map(class_name).unwrap_or_default()) } }
        } }
        tbody { @for r in &rows { tr {
            th scope="row" { (show::indicator(lang, r.0)) } td { (show::statistic(lang, r.1)) } td { (show::unit(lang, r.2)) }
            @for c in &columns { td.n {
                @if let Some(l) = find(r, c) { (l.value) @if !l.verified { " ⚠" } } @else { "–" }
            } }
        } } }
    } } }
}

fn breakpoint_table(lang: Lang, b: &Breakpoints) -> Markup {
    html! { div.scroll tabindex="0" { table {
        thead {
            tr { th scope="col" { (b.output) } @for c in &b.columns { th.n scope="col" { (show::indicator(lang, c.indicator.as_str())) br; span.soft { (show::statistic(lang, c.statistic.as_str())) } br; span.soft { (show::unit(lang, c.unit.as_str())) } } } }
        }
        tbody {
            @for (k, index) in b.index.iter().enumerate() { tr {
                th scope="row" { (index) }
                @for c in &b.columns { td.n { @if let Some(p) = c.points.get(k) { (p) } @else { "–" } } }
            } }
            tr {
                th scope="row" { (tr(lang, "超过末点", "above")) }
                @for c in &b.columns { td.n { @match c.above {
                    Above::Last => { (b.index.last().map(ToString::to_string).unwrap_or_default()) }
                    Above::Fixed(v) => { (v) }
                    Above::None => { (tr(lang, "不计算", "none")) }
                    Above::Extrapolate => { (tr(lang, "外推", "extended")) }
                } } }
            }
        }
    } } }
}
