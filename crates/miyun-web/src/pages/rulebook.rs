//! The rulebook: what is in force when, an instrument as printed, two editions compared.

use maud::{Markup, html};
use miyun_assess::air_sources;
use miyun_core::rule::InstrumentKind;
use miyun_core::text::Lang;
use miyun_core::{Date, Instrument};
use miyun_plan::Target;

use crate::chart::px;
use crate::failure::Failure;
use crate::rules;
use crate::said::clause;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::site::Site;
use crate::words::{each, word};

pub(super) fn list(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let on = super::at(q, site.today())?;
    let title = view.tr("规则库", "Rulebook");
    let all = site.book.instruments();
    let kinds = kinds(all);
    let mut media: Vec<&str> = all.iter().map(|i| i.medium.as_str()).collect();
    media.sort_unstable();
    media.dedup();
    let medium = q.get("medium").map_or("", String::as_str);
    let body = html! {
        h1 { (title) }
        p.lead { (view.tr("法律以数据形式存放：每个数字都有条款、出处和施行日期；没有对照原文核对过的，一律标明未核实。", "The law as data: every number has its clause, citation and dates; what nobody compared with the printed text is marked not verified.")) }
        form.inline method="get" {
            label { (view.tr("在哪一天有效", "In force on")) " " input type="date" name="at" value=(on); }
            @if media.len() > 1 { label { (view.tr("要素", "Medium")) " " select name="medium" { option value="" { (view.tr("全部", "all")) } @for m in &media { option value=(m) selected[*m == medium] { (word(view.lang, &super::articles::topic(view.lang, m))) } } } } }
            button { (view.tr("显示", "Show")) }
        }
        @for (kind, instruments) in &kinds {
            @let shown: Vec<Instrument> = instruments.iter().filter(|i| medium.is_empty() || i.medium == medium).map(|i| (*i).clone()).collect();
            @if !shown.is_empty() {
                h2 { (kind_name(view.lang, *kind)) }
                (timeline(view, &shown, on))
                (rules::list(view.lang, &|p| view.link(p), &shown, on))
            }
        }
        h2 { (view.tr("比较两个文件", "Compare two instruments")) }
        (compare(view, all, "CN/GB-3095-2012", "CN/GB-3095-2026"))
    };
    Ok(Shown::new(title, false, body))
}

fn kinds(all: &[Instrument]) -> Vec<(InstrumentKind, Vec<&Instrument>)> {
    let mut out: Vec<(InstrumentKind, Vec<&Instrument>)> = Vec::new();
    for i in all {
        match out.iter_mut().find(|(k, _)| *k == i.kind) {
            Some((_, list)) => list.push(i),
            None => out.push((i.kind, vec![i])),
        }
    }
    // What must be attained comes first, then how it is judged; the rest as the law goes on.
    const ORDER: [InstrumentKind; 9] = [
        InstrumentKind::QualityStandard,
        InstrumentKind::Method,
        InstrumentKind::DischargeStandard,
        InstrumentKind::Permit,
        InstrumentKind::Plan,
        InstrumentKind::WarningPlan,
        InstrumentKind::Law,
        InstrumentKind::Factor,
        InstrumentKind::Guideline,
    ];
    out.sort_by_key(|(k, _)| ORDER.iter().position(|o| o == k));
    out
}

fn kind_name(lang: Lang, kind: InstrumentKind) -> String {
    let word = serde_json::to_value(kind)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    let zh = match word.as_str() {
        "law" => "法律",
        "quality-standard" => "环境质量标准",
        "discharge-standard" => "排放标准",
        "factor" => "排放因子",
        "permit" => "排污许可",
        "warning-plan" => "应急预案",
        "method" => "方法规范",
        "guideline" => "指导值",
        "plan" => "计划",
        other => other,
    };
    let en = word.replace('-', " ");
    match lang {
        Lang::Zh => zh.to_owned(),
        Lang::En => {
            let mut c = en.chars();
            c.next().map_or(String::new(), |f| {
                f.to_uppercase().collect::<String>() + c.as_str()
            })
        }
    }
}

/// When each instrument is in force, as bars.
fn timeline(view: &View, instruments: &[Instrument], on: Date) -> Markup {
    let starts: Vec<i16> = instruments
        .iter()
        .filter_map(|i| i.in_force.from.map(|f| f.year()))
        .collect();
    let first = starts.iter().min().copied().unwrap_or(2012).max(1980);
    let end = on.year().max(starts.iter().max().copied().unwrap_or(0)) + 6;
    let span = f64::from(end - first);
    let x = |d: Date| {
        (f64::from(d.year() - first) + f64::from(d.day_of_year()) / 366.0) / span * 470.0 + 200.0
    };
    let step = if span > 24.0 { 5 } else { 2 };
    let height = instruments.len() as f64 * 22.0 + 24.0;
    html! {
        figure.chart.timeline tabindex="0" {
            svg viewBox={ "0 0 690 " (px(height)) } role="img" aria-label=(view.tr("施行期，见下表", "When each is in force; the table below says the same")) {
                @for y in (first..=end).filter(|y| y % step == 0) {
                    @if let Ok(d) = Date::new(y, 1, 1) { line.grid x1=(px(x(d))) x2=(px(x(d))) y1="0" y2=(px(height - 16.0)) {} text.tick.mid x=(px(x(d))) y=(px(height - 3.0)) { (y) } }
                }
                @for (k, i) in instruments.iter().enumerate() {
                    @let y = k as f64 * 22.0 + 4.0;
                    @let from = i.in_force.from.map_or(200.0, |d| x(d).max(200.0));
                    @let to = i.in_force.until.map_or(670.0, |d| x(d).min(670.0));
                    text x="0" y=(px(y + 12.0)) { (i.id) }
                    rect class=(if i.in_force.contains(on) { "force now" } else { "force" }) x=(px(from)) y=(px(y)) width=(px((to - from).max(2.0))) height="15" rx="3" {}
                    @for s in i.stages.iter().skip(1) { @if let Some(f) = s.period.from { line.stage x1=(px(x(f))) x2=(px(x(f))) y1=(px(y)) y2=(px(y + 15.0)) {} } }
                }
                line.now x1=(px(x(on))) x2=(px(x(on))) y1="0" y2=(px(height - 16.0)) {}
            }
            figcaption { (match view.lang { Lang::Zh => format!("施行期；竖线为 {on}，深色为当日有效，短线为新阶段开始。"), Lang::En => format!("When each is in force; the upright line is {on}, dark bars are in force that day, short lines begin a stage.") }) }
        }
    }
}

pub(super) fn one(
    site: &Site,
    view: &View,
    _: &Params,
    (_, id): &(String, String),
) -> Result<Shown, Failure> {
    let i = site
        .book
        .instrument(id)
        .ok_or_else(|| Failure::NotFound(format!("no instrument {id:?}")))?;
    let lang = view.lang;
    let later: Vec<&Instrument> = site
        .book
        .instruments()
        .iter()
        .filter(|o| o.supersedes.contains(&i.id) || o.amends.as_ref() == Some(&i.id))
        .collect();
    let body = html! {
        p.crumbs { a href=(view.link("/rules")) { (view.tr("规则库", "Rulebook")) } }
        (rules::instrument(lang, &|p| view.link(p), i))
        h2 id="used" { (view.tr("用在哪里", "Where it is used")) }
        (used(site, view, i))
        @if !later.is_empty() || !i.supersedes.is_empty() {
            h2 { (view.tr("前后版本", "Editions before and after")) }
            ul {
                @for o in &later { li { (view.tr("其后：", "After: ")) a href=(view.link(&format!("/rules/{}", o.id))) { (o.title.get(lang)) } " · " a href=(view.link(&format!("/rules/diff?a={}&b={}", i.id, o.id))) { (view.tr("看差别", "see what differs")) } } }
                @for o in &i.supersedes { li { (view.tr("其前：", "Before: ")) a href=(view.link(&format!("/rules/{o}"))) { (o) } " · " a href=(view.link(&format!("/rules/diff?a={o}&b={}", i.id))) { (view.tr("看差别", "see what differs")) } } }
            }
        }
        @if let Some(f) = site.book.file_of(id) { p.soft { (view.tr("源文件", "File")) " " span.code { (f) } } }
    };
    Ok(Shown::new(i.title.get(lang), false, body))
}

/// Editions, plans and pages that rest on an instrument.
fn used(site: &Site, view: &View, i: &Instrument) -> Markup {
    let lang = view.lang;
    let place = site
        .city(None)
        .map(|c| c.jurisdiction)
        .ok()
        .or_else(|| miyun_core::JurisdictionId::new("CN").ok());
    let editions: Vec<&str> = site
        .book
        .editions()
        .iter()
        .filter(|e| e.medium == i.medium)
        .filter(|e| {
            place
                .as_ref()
                .and_then(|p| air_sources(site.book, p, e.as_of).ok())
                .is_some_and(|s| {
                    [Some(s.criterion), Some(s.index), Some(s.method), s.ranking]
                        .into_iter()
                        .flatten()
                        .any(|x| x.id == i.id)
                })
        })
        .map(|e| e.title.get(lang))
        .collect();
    let mut measures = Vec::new();
    for p in &site.plans {
        let s = site.plan_state(p, site.today(), &view.known);
        for m in &s.measures {
            for x in m.indicators.iter().filter(|x| {
                x.indicator.target == Target::Limit
                    && x.target_clause
                        .split(',')
                        .next()
                        .is_some_and(|id| id == i.id.as_str())
            }) {
                measures.push((
                    format!("/plan/{}/{}", p.id, m.measure.row),
                    format!("{} {}", m.measure.row, m.measure.title.get(lang)),
                    x.target_clause.clone(),
                ));
            }
        }
    }
    html! {
        @if editions.is_empty() && measures.is_empty() { p.soft { (view.tr("没有版本或措施用到它。", "No edition and no measure rests on it.")) } }
        ul {
            @for e in editions { li { (view.tr("版本：", "Edition: ")) (e) } }
            @for (link, name, of) in measures { li { (view.tr("措施：", "Measure: ")) a href=(view.link(&link)) { (name) } " " span.soft { (clause(lang, &of)) } } }
        }
    }
}

pub(super) fn diff(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let find = |key: &str| {
        let id = q.get(key).map_or("", String::as_str);
        site.book
            .instrument(id)
            .ok_or_else(|| Failure::NotFound(format!("{key}={id}: no such instrument")))
    };
    let (a, b) = (find("a")?, find("b")?);
    let rows = miyun_rulebook::report::diff(a, b);
    let title = view.tr("两个文件的差别", "What differs between two instruments");
    let cell = |v: &Option<String>| {
        v.as_ref()
            .map_or_else(|| "–".into(), |t| each(view.lang, t))
    };
    let body = html! {
        p.crumbs { a href=(view.link("/rules")) { (view.tr("规则库", "Rulebook")) } }
        h1 { (title) }
        p.lead { a href=(view.link(&format!("/rules/{}", a.id))) { (a.title.get(view.lang)) } " → " a href=(view.link(&format!("/rules/{}", b.id))) { (b.title.get(view.lang)) } ": "
            (match view.lang { Lang::Zh => format!("{} 处不同", rows.len()), Lang::En => format!("{} cells differ", rows.len()) }) }
        (compare(view, site.book.instruments(), a.id.as_str(), b.id.as_str()))
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("规则种类", "Kind")) } th scope="col" { (view.tr("哪一格", "Cell")) } th.n scope="col" { (a.id) } th.n scope="col" { (b.id) } th scope="col" { (view.tr("条款", "Clause")) } } }
            tbody { @for r in &rows { tr {
                td { (word(view.lang, r.kind)) } th scope="row" { (each(view.lang, &r.key)) }
                td.n { @if r.a.is_some() && r.b.is_some() { del { (cell(&r.a)) } } @else { (cell(&r.a)) } }
                td.n { @if r.b.is_some() { ins { (cell(&r.b)) } } @else { "–" } }
                td { (clause(view.lang, &r.clause_a)) @if !r.clause_b.is_empty() && r.clause_a != r.clause_b { " → " (clause(view.lang, &r.clause_b)) } @if !r.verified { " " (rules::unverified(view.lang)) } }
            } } }
        } }
    };
    Ok(Shown::new(title, false, body))
}

fn compare(view: &View, all: &[Instrument], a: &str, b: &str) -> Markup {
    let options = |chosen: &str| {
        html! { @for i in all { option value=(i.id) selected[i.id == *chosen] { (i.id) } } }
    };
    html! {
        form.inline method="get" action=(view.link("/rules/diff")) {
            label { (view.tr("从", "From")) " " select name="a" { (options(a)) } }
            label { (view.tr("到", "to")) " " select name="b" { (options(b)) } }
            button { (view.tr("比较", "Compare")) }
        }
    }
}
