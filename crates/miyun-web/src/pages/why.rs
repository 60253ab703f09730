//! Why a figure is what it is: value, rule, clause, citation, rows, digest, method version, and
//! what other editions and other moments of knowledge would say.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::{Markup, html};
use miyun_assess::air::AirEvaluation;
use miyun_assess::trace;
use miyun_core::text::Lang;
use miyun_core::{Assessment, Date, Decimal, Subject};
use miyun_lake::{Request, Row};
use miyun_store::{FigureKey, PublishedFigure};

use crate::failure::Failure;
use crate::said::{clause, say};
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;

/// Rows on one page.
const ROWS: usize = 48;

/// The figure of a path: an id, or `PLACE:INDICATOR:STATISTIC:DATE`.
pub(crate) fn find(site: &Site, view: &View, id: &str) -> Result<Assessment, Failure> {
    let parts: Vec<&str> = id.split(':').collect();
    match parts.as_slice() {
        [place, indicator, statistic, date] => {
            let date: Date = date
                .parse()
                .map_err(|_| Failure::Bad(format!("{date:?} is no day: write 2026-03-01")))?;
            let (subject, city) = place_of(site, place)?;
            let ev = site.law_of_day(&city, date, &view.known)?;
            let record = site.record(&city.id, &view.known)?;
            let a = trace::day(
                &ev,
                &record,
                subject.id.as_str(),
                indicator,
                statistic,
                date,
            )
            .map_err(|e| Failure::NotFound(e.to_string()))?;
            site.remember([&a]);
            Ok(a)
        }
        _ => site.figure(id),
    }
}

fn place_of(site: &Site, id: &str) -> Result<(Subject, Subject), Failure> {
    let subject = site
        .lake()
        .subjects()
        .into_iter()
        .find(|s| s.id.as_str() == id)
        .ok_or_else(|| Failure::NotFound(format!("no place {id:?}")))?;
    let city = site.city(Some(
        subject.part_of.as_ref().unwrap_or(&subject.id).as_str(),
    ))?;
    Ok((subject, city))
}

/// The page, with what the records say was published of this figure.
pub(super) async fn with_history(
    State(site): State<Arc<Site>>,
    view: View,
    Path(path): Path<(String, String)>,
    Query(q): Query<Params>,
) -> Response {
    let (s, v, id) = (Arc::clone(&site), view.clone(), path.1.clone());
    let mut found = tokio::task::spawn_blocking(move || find(&s, &v, &id))
        .await
        .unwrap_or_else(|e| Err(Failure::Broken(e.to_string())));
    let mut history = Vec::new();
    if let Some(store) = site.store() {
        if found.is_err()
            && let Ok(Some(f)) = store.published_by_id(&path.1).await
        {
            site.remember([&f.assessment]);
            found = Ok(f.assessment);
        }
        if let Ok(a) = &found {
            let key = FigureKey::of(a, "in-force");
            history = store.published_history(&key).await.unwrap_or_default();
        }
    }
    match found {
        Ok(a) => crate::server::shown(view, move |v| page(&site, v, &q, &a, &history)).await,
        Err(f) => f.page(&view),
    }
}

fn page(
    site: &Site,
    view: &View,
    q: &Params,
    a: &Assessment,
    history: &[PublishedFigure],
) -> Result<Shown, Failure> {
    let lang = view.lang;
    let (subject, city) = place_of(site, a.subject.as_str())?;
    let name = subject.name.get(lang);
    let unit = show::unit(lang, a.unit.as_str());
    let body = html! {
        p.crumbs { a href=(view.link("/")) { (view.tr("概览", "Overview")) } " › "
            @if subject.id == city.id { a href=(view.link("/air")) { (name) } } @else { a href=(view.link(&format!("/air/station/{}", subject.id))) { (name) } } }
        h1 { (view.tr("为什么是 ", "Why ")) data value=(a.value.map(|v| v.to_string()).unwrap_or_default()) { (show::value(a.value)) } " " (unit) (view.tr("？", "?")) }
        p.lead { (name) " · " (show::indicator(lang, a.indicator.as_str())) " " (show::statistic(lang, a.statistic.as_str())) " · " (a.period) " · " (show::verdict(lang, &a.verdict)) }
        (answer(view, a, unit))
        (derivation(view, a))
        (rules(site, view, a))
        (others(site, view, a, &city)?)
        (knowledge(site, view, a, &city)?)
        (published(view, a, history))
        (evidence(site, view, a, q)?)
        section aria-labelledby="method" {
            h2 id="method" { (view.tr("方法与声明", "Method and declarations")) }
            dl.pairs {
                dt { (view.tr("方法版本", "Method version")) } dd.code { (a.trace.method.name) " " (a.trace.method.version) }
                @for d in &a.trace.declared { dt { (view.tr("声明", "Declared")) } dd { (say(view.lang, d)) } }
                dt { (view.tr("编号", "Id")) } dd.code { (a.id) }
                dt { (view.tr("接口", "API")) } dd { a.code href={ "/api/v1/figures/" (a.id) } { "GET /api/v1/figures/" (a.id) } }
                dt { (view.tr("命令行", "Command line")) } dd.code { "miyun why " (a.id) }
            }
        }
    };
    Ok(Shown::new(
        format!(
            "{} {} · {name}",
            view.tr("为什么", "Why"),
            show::value(a.value)
        ),
        subject.simulated,
        body,
    ))
}

fn answer(view: &View, a: &Assessment, unit: &str) -> Markup {
    html! {
        dl.pairs.answer {
            dt { (view.tr("数值", "Value")) } dd { (show::value(a.value)) " " (unit) @if let Some(u) = a.value_unrounded { " " span.soft { (view.tr("（修约前 ", "(before rounding ")) (u) (view.tr("）", ")")) } } }
            dt { (view.tr("限值", "Limit")) } dd { (show::value(a.limit)) @if let Some(m) = a.margin { " · " (view.tr("余量", "room left")) " " (m) } @if let Some(e) = a.exceedance.filter(|e| !e.is_zero()) { " · " (view.tr("超标", "over by")) " " (e) (view.tr(" 倍", " times the limit")) } }
            dt { (view.tr("数据是否足够", "Enough data")) } dd { @if a.sufficiency.valid { "✓ " } @else { "× " } (a.sufficiency.have) " / " (a.sufficiency.need) @if !a.sufficiency.missing.is_empty() { ": " (missing(view.lang, a)) } }
        }
    }
}

fn missing(lang: Lang, a: &Assessment) -> String {
    let all: Vec<String> = a.sufficiency.missing.iter().map(|m| say(lang, m)).collect();
    all.join(crate::shell::tr(lang, "；", "; "))
}

fn derivation(view: &View, a: &Assessment) -> Markup {
    html! {
        h2 { (view.tr("推导", "Derivation")) }
        ol.chain { @for s in &a.trace.steps { li { (say(view.lang, &s.what)) " → " strong { (say(view.lang, &s.result)) } } } }
    }
}

fn rules(site: &Site, view: &View, a: &Assessment) -> Markup {
    let role = |r: &str| -> String {
        let zh = match r {
            "limit" => "限值",
            "validity" => "有效性",
            "rounding" => "修约",
            "statistic" => "统计量",
            "breakpoints" => "分指数",
            "reference-state" => "参比状态",
            "city" => "城市均值",
            "level" => "级别",
            "daily validity" => "日有效性",
            "annual validity" => "年有效性",
            other => other,
        };
        view.tr(zh, r).to_owned()
    };
    html! {
        h2 { (view.tr("规则、条款与出处", "Rules, clauses, citations")) }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("作用", "Part")) } th scope="col" { (view.tr("怎么说", "What it says")) } th scope="col" { (view.tr("条款", "Clause")) } th scope="col" { (view.tr("出处", "Citation")) } } }
            tbody { @for r in &a.trace.rules {
                @let i = site.book.instrument(r.rule.instrument.as_str());
                tr {
                    th scope="row" { (role(&r.role)) }
                    td { (say(view.lang, &r.says)) }
                    td { a href=(view.link(&format!("/rules/{}#table-{}", r.rule.instrument, r.rule.table))) { (r.rule.instrument) ", " (clause(view.lang, &r.rule.clause)) } @if !r.rule.verified { " " (crate::rules::unverified(view.lang)) } @if let Some(i) = i { br; span.soft { (crate::rules::period(view.lang, &i.in_force)) } } }
                    td { @if let Some((i, t)) = i.and_then(|i| Some((i, i.table(&r.rule.table)?))) { @for c in i.citations.iter().filter(|c| t.citations.contains(&c.id)) { span lang="en" { (c.title) } " " span.soft { (view.tr("核对于 ", "checked ")) (c.checked.on) } br; } } }
                }
            } }
        } }
    }
}

/// The same figure under every named edition.
fn others(site: &Site, view: &View, a: &Assessment, city: &Subject) -> Result<Markup, Failure> {
    let mut rows: Vec<(String, Assessment)> = Vec::new();
    for e in site.book.editions().iter().filter(|e| e.medium == "air") {
        let ev = evaluation_of(site, view, a, city, &e.id)?;
        let found = same(site, view, a, &ev, city);
        if let Some(found) = found {
            rows.push((e.title.get(view.lang).to_owned(), found));
        }
    }
    Ok(html! {
        section aria-labelledby="editions" {
            h2 id="editions" { (view.tr("其他版本会怎么说", "What other editions would say")) }
            @if rows.is_empty() { p.soft { (view.tr("没有可比的版本。", "There is no edition to compare with.")) } } @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("版本", "Edition")) } th.n scope="col" { (view.tr("数值", "Value")) } th.n scope="col" { (view.tr("限值", "Limit")) } th scope="col" { (view.tr("结论", "Verdict")) } } }
                tbody { @for (title, b) in &rows { tr {
                    th scope="row" { (title) @if b.id == a.id { " " span.soft { (view.tr("（本页）", "(this page)")) } } }
                    td.n { (show::figure(view, b)) } td.n { (show::value(b.limit)) } td { (show::verdict(view.lang, &b.verdict)) @if b.verdict != a.verdict { " " strong { (view.tr("翻转", "flips")) } } }
                } } }
            } } }
        }
    })
}

/// The evaluation that holds figures like `a`.
fn evaluation_of(
    site: &Site,
    view: &View,
    a: &Assessment,
    city: &Subject,
    edition: &str,
) -> Result<Arc<AirEvaluation>, Failure> {
    let one_day = a.period.from.is_some() && a.period.from == a.period.until;
    let record = site.record(&city.id, &view.known)?;
    let period = if one_day {
        miyun_core::Period::days(record.first_day, Site::last_day(&record))
    } else {
        a.period
    };
    site.evaluation(&city.id, period, edition, &view.known)
}

/// The figure of an evaluation with the subject, indicator and statistic of `a`.
fn same(
    site: &Site,
    view: &View,
    a: &Assessment,
    ev: &AirEvaluation,
    city: &Subject,
) -> Option<Assessment> {
    let found = match (a.period.from, a.period.until) {
        (Some(d), Some(u)) if d == u => {
            let record = site.record(&city.id, &view.known).ok()?;
            trace::day(
                ev,
                &record,
                a.subject.as_str(),
                a.indicator.as_str(),
                a.statistic.as_str(),
                d,
            )
            .ok()?
        }
        _ => ev
            .assessments
            .iter()
            .find(|b| {
                b.subject == a.subject && b.indicator == a.indicator && b.statistic == a.statistic
            })?
            .clone(),
    };
    site.remember([&found]);
    Some(found)
}

/// The same figure as it was known after each import that changed the city's data.
fn knowledge(site: &Site, view: &View, a: &Assessment, city: &Subject) -> Result<Markup, Failure> {
    let lake = site.lake();
    let moments: Vec<String> = lake
        .commits()
        .iter()
        .flat_map(|c| {
            let ours = |s: &miyun_core::Series| {
                s.indicator == a.indicator
                    && (s.subject == a.subject || s.subject.as_str().starts_with(city.id.as_str()))
            };
            let series = c.series.iter().enumerate().filter(|(_, s)| ours(s));
            let at: std::collections::BTreeSet<&str> =
                series.flat_map(|(k, _)| c.moments(k)).collect();
            at.into_iter().map(str::to_owned)
        })
        .collect();
    // The law does not depend on what was known; take the edition that made this figure.
    let edition = edition_of(site, a);
    let mut rows: Vec<(String, Assessment)> = Vec::new();
    for m in moments.iter().rev().take(6).rev() {
        let mut then = view.clone();
        // What was known after the last import is what is known now.
        let now =
            view.known.is_none() && lake.commits().last().is_some_and(|c| c.recorded_at == *m);
        then.known = (!now).then(|| m.clone());
        let Ok(ev) = evaluation_of(site, &then, a, city, &edition) else {
            continue;
        };
        if let Some(b) = same(site, &then, a, &ev, city)
            && rows.last().is_none_or(|(_, last)| last.id != b.id)
        {
            rows.push((m.clone(), b));
        }
    }
    let difference = |b: &Assessment, old: &Assessment| -> String {
        match (b.value, old.value) {
            (Some(x), Some(y)) if x != y => format!("{:+}", x - y),
            (Some(_), Some(_)) => match (b.value_unrounded, old.value_unrounded) {
                (Some(x), Some(y)) if x != y => format!("{:+}", (x - y).normalize()),
                _ => "0".into(),
            },
            _ => "–".into(),
        }
    };
    Ok(html! {
        section aria-labelledby="known" {
            h2 id="known" { (view.tr("何时知道什么", "What was known when")) }
            @if rows.len() < 2 { p.soft { (view.tr("入库以来没有订正：", "No correction since it was recorded: ")) @for (m, _) in &rows { time datetime=(m) { (m) } } } } @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("自何时", "Since")) } th.n scope="col" { (view.tr("数值", "Value")) } th.n scope="col" { (view.tr("与前一次之差", "Difference")) } th scope="col" { (view.tr("结论", "Verdict")) } th scope="col" { (view.tr("固定网址", "Lasting address")) } } }
                tbody { @for (k, (m, b)) in rows.iter().enumerate() { tr {
                    th scope="row" { time datetime=(m) { (m) } }
                    td.n { data value=(b.value.map(|v| v.to_string()).unwrap_or_default()) { (show::value(b.value)) } }
                    td.n { @if k > 0 { (difference(b, &rows[k - 1].1)) } @else { "–" } }
                    td { (show::verdict(view.lang, &b.verdict)) }
                    td { a href={ (crate::shell::prefix(view.lang)) "/why/" (b.id) "?known=" (crate::shell::encode(m)) } { (view.tr("当时的说法", "as it was said then")) } @if b.id == a.id { " " span.soft { (view.tr("（本页）", "(this page)")) } } }
                } } }
            } } }
        }
    })
}

/// What was published of this figure, newest first, each with its difference to the one before.
fn published(view: &View, a: &Assessment, history: &[PublishedFigure]) -> Markup {
    html! { @if !history.is_empty() {
        section aria-labelledby="published" {
            h2 id="published" { (view.tr("发布与订正", "Publications and corrections")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("发布于", "Published")) } th.n scope="col" { (view.tr("数值", "Value")) } th.n scope="col" { (view.tr("与前一次之差", "Difference")) } th scope="col" { (view.tr("订正原因", "Why it was corrected")) } } }
                tbody { @for (k, f) in history.iter().enumerate() { tr {
                    th scope="row" { a href={ (crate::shell::prefix(view.lang)) "/why/" (f.assessment.id) } { time datetime=(f.published_at) { (crate::articles::when::exact(f.published_at)) } } @if f.assessment.id == a.id { " " span.soft { (view.tr("（本页）", "(this page)")) } } }
                    td.n { (show::value(f.assessment.value)) }
                    td.n { @match history.get(k + 1) { Some(old) => {
                        @let d = f.difference(old);
                        @match d.value { Some(v) => { (format!("{v:+}")) } None => { "–" } }
                        @if d.verdict_changed { " · " (view.tr("结论翻转", "verdict flips")) } @if d.limit_changed { " · " (view.tr("限值不同", "another limit")) } @if d.evidence_changed { " · " (view.tr("证据不同", "other rows")) }
                    } None => { "–" } } }
                    td { (f.reason) }
                } } }
            } }
        }
    } }
}

/// The named edition whose instruments made the figure, else the law in force.
fn edition_of(site: &Site, a: &Assessment) -> String {
    let limit = a.trace.rules.iter().find(|r| r.role == "limit");
    site.book
        .editions()
        .iter()
        .filter(|e| e.medium == "air")
        .find(|e| {
            let until = a.period.until.unwrap_or(e.as_of);
            limit.is_some_and(|l| {
                site.book
                    .instrument(l.rule.instrument.as_str())
                    .is_some_and(|i| {
                        i.in_force.contains(e.as_of)
                            && i.stage_on(e.as_of).map(|s| &s.id)
                                == i.stage_on(until.max(i.in_force.from.unwrap_or(until)))
                                    .map(|s| &s.id)
                    })
            })
        })
        .map_or("in-force".to_owned(), |e| e.id.clone())
}

/// Rows behind the figure, and whether their digest is still the one in the trace.
fn evidence(site: &Site, view: &View, a: &Assessment, q: &Params) -> Result<Markup, Failure> {
    let (Some(from), Some(until)) = (a.period.from, a.period.until) else {
        return Ok(html! {});
    };
    let days = usize::try_from((until - from).get_days() + 1).unwrap_or(0);
    let start: usize = q.get("row").and_then(|r| r.parse().ok()).unwrap_or(0);
    let chosen = q
        .get("of")
        .and_then(|o| o.parse::<usize>().ok())
        .unwrap_or(0)
        .min(a.trace.evidence.len().saturating_sub(1));
    let lake = site.lake();
    let interval = a.trace.declared.iter().find_map(|d| {
        d.strip_prefix("labels read as ")
            .and_then(|d| d.split(',').next())
            .and_then(|w| w.parse().ok())
    });
    let mut listed: Vec<Row> = Vec::new();
    let mut total = 0;
    let mut same = None;
    if let Some(e) = a.trace.evidence.get(chosen) {
        let indicators = [e.indicator.as_str()];
        let request = Request {
            subjects: std::slice::from_ref(&e.subject),
            indicators: &indicators,
            first_day: from,
            days,
            interval,
            as_known_on: view.known.as_deref(),
        };
        let broken = |e: miyun_lake::LakeError| Failure::Broken(e.to_string());
        same = Some(
            lake.hours(&request)
                .map_err(broken)?
                .iter()
                .flat_map(|s| &s.series)
                .any(|d| d.digest(from, 0..days * 24) == (e.rows, e.digest.clone())),
        );
        let all = lake.rows(&request).map_err(broken)?;
        total = all.len();
        listed = all.into_iter().skip(start).take(ROWS).collect();
    }
    let subjects = lake.subjects();
    let name = |id: &miyun_core::SubjectId| {
        subjects
            .iter()
            .find(|s| s.id == *id)
            .map_or(id.to_string(), |s| s.name.get(view.lang).to_owned())
    };
    Ok(html! {
        section aria-labelledby="rows" {
            h2 id="rows" { (view.tr("数据行", "Rows")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("站点", "Station")) } th scope="col" { (view.tr("指标", "Indicator")) } th scope="col" { (view.tr("期间", "Period")) } th.n scope="col" { (view.tr("行数", "Rows")) } th scope="col" { "BLAKE3" } } }
                tbody { @for (k, e) in a.trace.evidence.iter().enumerate() { tr {
                    th scope="row" { a href={ (view.with(&[("of", &k.to_string()), ("row", "")])) "#rows" } aria-current=[(k == chosen).then_some("true")] { (name(&e.subject)) } }
                    td { (show::indicator(view.lang, e.indicator.as_str())) } td { (e.period) } td.n { (e.rows) } td.code { (e.digest) }
                } } }
            } }
            @if let Some(s) = same { p { @if s { span.verdict.good { "✓ " (view.tr("库中的行今天仍有同样的摘要", "the rows in the lake have this digest today")) } } @else { span.verdict.warn { "! " (view.tr("库中的行后来有订正：看“何时知道什么”", "the rows were corrected since: see \"What was known when\"")) } } } }
            @if let Some(e) = a.trace.evidence.get(chosen) {
                h3 { (name(&e.subject)) ": " (match view.lang { Lang::Zh => format!("第 {}–{} 行，共 {total} 行", (start + 1).min(total), (start + listed.len()).min(total)), Lang::En => format!("rows {} to {} of {total}", (start + 1).min(total), (start + listed.len()).min(total)) }) }
                div.scroll tabindex="0" { table.rows {
                    thead { tr { th scope="col" { (view.tr("时刻", "Label")) } th.n scope="col" { (view.tr("值", "Value")) } th scope="col" { (view.tr("单位", "Unit")) } th scope="col" { (view.tr("标记", "Flag")) } th scope="col" { (view.tr("文件与行号", "File and line")) } th scope="col" { (view.tr("入库", "Recorded")) } } }
                    tbody { @for r in &listed { tr {
                        td { (r.label) } td.n { @if r.holds { (Decimal::new(r.value, 6).normalize()) } @else { s { (Decimal::new(r.value, 6).normalize()) } } } td { (show::unit(view.lang, &r.unit)) } td { (crate::words::word(view.lang, r.flag.as_str())) @if !r.holds { " " span.soft { (view.tr("已被订正", "corrected since")) } } }
                        td.code { (r.file.rsplit('/').next().unwrap_or("")) ":" (r.line) } td { (r.recorded_at) }
                    } } }
                } }
                nav.chips aria-label=(view.tr("翻页", "Pages of rows")) {
                    @if start > 0 { a href={ (view.with(&[("row", &start.saturating_sub(ROWS).to_string())])) "#rows" } { "‹ " (view.tr("前面的行", "earlier rows")) } }
                    @if start + ROWS < total { a href={ (view.with(&[("row", &(start + ROWS).to_string())])) "#rows" } { (view.tr("后面的行", "later rows")) " ›" } }
                }
            }
        }
    })
}
