//! Public retirement search, certificates, the compliance table.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use miyun_carbon::compliance::Code;
use miyun_core::text::Lang;
use miyun_registry::read::Found;
use miyun_registry::{Error, Registry, time};

use super::Desk;
use super::pages::{
    PER_PAGE, Params, Shared, Shown, body, files, number, pager, serial_text, shown,
};
use super::problem::PageProblem;
use crate::shell::{View, encode};

/// A page of the retirements whose text holds `words`, newest first, and how many there are: those
/// that the registry shown knows.
pub(super) async fn retired(
    desk: &Desk,
    reg: &Registry,
    words: &str,
    page: u32,
    size: u32,
) -> Result<(Vec<Found>, i64), Error> {
    let records = reg.model().records();
    desk.read
        .retirements(words, Some(records), page, size)
        .await
}

/// Public search.
pub async fn retirements(State(desk): Shared, v: View, Query(q): Params) -> Shown {
    let title = v.tr("注销查询", "Retirements").to_owned();
    let words = q.get("q").cloned().unwrap_or_default();
    let at: usize = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    let page = u32::try_from(at).unwrap_or(u32::MAX);
    let found = async {
        let reg = desk.at(v.known.as_deref()).await?;
        let found = retired(&desk, &reg, &words, page, PER_PAGE as u32).await?;
        Ok::<_, Error>((reg, found))
    };
    let (reg, (rows, total)) = match found.await {
        Ok(f) => f,
        Err(e) => return Err(PageProblem(Box::new(v), e)),
    };
    let total = usize::try_from(total).unwrap_or(0);
    let inner = html! {
        h1 { (title) }
        form.inline method="get" role="search" {
            label { (v.tr("受益人、主体、单位或地区", "Beneficiary, party, units or jurisdiction")) br; input type="search" name="q" value=(words) maxlength="100"; }
            button { (v.tr("查询", "Search")) }
        }
        p { (match v.lang { Lang::Zh => format!("找到 {total} 次注销。"), Lang::En => format!("{total} retirements found.") }) }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (v.tr("时间", "Time")) } th scope="col" { (v.tr("受益人", "Beneficiary")) } th.n scope="col" { "t" } th scope="col" { (v.tr("单位", "Units")) } th scope="col" { (v.tr("序列号", "Serials")) } th scope="col" { (v.tr("地区", "Jurisdiction")) } th scope="col" { (v.tr("证书", "Certificate")) } } }
            tbody { @for r in &rows { tr {
                td { (r.at) } th scope="row" lang="" { (r.beneficiary) } td.n { (number(&r.amount)) } td { (r.asset) } td { (r.serials) } td { (r.jurisdiction) }
                td { a href=(v.link(&format!("/registry/retirement/{}", r.id))) { (v.tr("查看", "open")) " #" (r.record) } }
            } } }
        } }
        (pager(&v, &format!("/registry/retirements?q={}&", encode(&words)), at, total))
        (files(&v, &[("retirements", &format!("?q={}", encode(&words)), "注销", "Retirements")]))
    };
    Ok(shown(&desk, &reg, &v, &title, inner))
}

/// One retirement.
pub async fn retirement(
    State(desk): Shared,
    v: View,
    Path((_, id)): Path<(String, String)>,
) -> Shown {
    let title = v.tr("注销证书", "Retirement certificate").to_owned();
    body(&desk, v, &title, |reg, v| {
        let m = reg.model();
        let r = m.retirement(&id)?;
        let pdf = format!("/api/registry/v1/retirements/{id}/certificate.pdf");
        Ok(html! {
            h1 { (title) }
            dl.pairs {
                dt { (v.tr("受益人", "Beneficiary")) } dd lang="" { (r.retirement.beneficiary) }
                dt { (v.tr("数量", "Quantity")) } dd { (number(r.amount)) " t" }
                dt { (v.tr("单位", "Units")) } dd { a href=(v.link(&format!("/registry/asset/{}", r.asset))) { (r.asset) } }
                dt { (v.tr("序列号", "Serials")) } dd { (serial_text(&r.serials)) }
                dt { (v.tr("用途", "Reason")) } dd { (r.retirement.reason.text().get(v.lang)) @if !r.retirement.note.is_empty() { ": " span lang="" { (r.retirement.note) } } }
                dt { (v.tr("地区", "Jurisdiction")) } dd { (r.retirement.jurisdiction) }
                dt { (v.tr("注销人", "Retired by")) } dd { a href=(v.link(&format!("/registry/party/{}", r.party))) { (r.party) } }
                dt { (v.tr("时间", "Time")) } dd { (time::text(r.at)) }
                dt { (v.tr("依据", "Rule")) } dd { (super::pages::rule(v, &r.rule)) }
                dt { (v.tr("编号", "Certificate")) } dd.code { (r.id) }
            }
            p { a href=(pdf) { "PDF" } " · " a href=(v.link(&format!("/registry/record/{}", r.record))) { (v.tr("证明", "proof")) " #" (r.record) } " · " a href=(format!("/api/registry/v1/proofs/{}", r.record)) { "proof.json" } }
        })
    })
    .await
}

fn code(v: &View, c: Option<Code>) -> Markup {
    let (class, sign, text) = match c {
        None => ("none", "…", v.tr("未到期", "not due")),
        Some(Code::A) => ("good", "✓", "A"),
        Some(Code::B) => ("bad", "×", "B"),
        Some(Code::C) => ("none", "?", "C"),
    };
    html! { span class={ "verdict " (class) } { (sign) " " (text) } }
}

/// Years with verified data.
pub(super) fn years(reg: &Registry) -> Vec<i16> {
    let m = reg.model();
    let mut all: Vec<i16> = m
        .parties()
        .flat_map(|p| m.entries(&p.id).iter().map(|e| e.year))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The compliance table of a year.
pub async fn compliance(State(desk): Shared, v: View, Query(q): Params) -> Shown {
    let title = v.tr("履约情况", "Compliance").to_owned();
    let at: usize = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    body(&desk, v, &title, |reg, v| {
        let years = years(reg);
        let asked = q.get("year").and_then(|y| y.parse().ok());
        let Some(year) = asked.or(years.last().copied()) else {
            return Ok(
                html! { h1 { (title) } p { (v.tr("还没有核查数据。", "Nothing has been verified yet.")) } },
            );
        };
        let rows = reg.compliance(year, reg.now())?;
        let count = |c: Code| {
            rows.iter()
                .filter(|r| r.state.at_deadline.unwrap_or(r.state.now) == c)
                .count()
        };
        let late = rows
            .iter()
            .filter(|r| r.state.at_deadline == Some(Code::B) && r.state.now == Code::A)
            .count();
        Ok(html! {
            h1 { (title) " " (year) }
            p { @for y in &years { @if *y == year { strong { (y) } } @else { a href=(v.link(&format!("/registry/compliance?year={y}"))) { (y) } } " " } }
            @if let Some(r) = rows.first() { p { (v.tr("清缴期限", "Surrender deadline")) " " (r.state.deadline.value) " · " span.soft { (super::pages::rule(v, &r.state.deadline.rule.to_string())) } } }
            p.lead { (match v.lang {
                Lang::Zh => format!("{} 家单位：{} 家按期足额，{} 家不足，{} 家无核查数据；其中 {late} 家逾期后补足。", rows.len(), count(Code::A), count(Code::B), count(Code::C)),
                Lang::En => format!("{} units: {} in full and in time, {} short, {} without verified data; {late} of them paid up after the deadline.", rows.len(), count(Code::A), count(Code::B), count(Code::C)),
            }) }
            p.soft { (v.tr("A：累计清缴不少于累计核查排放；B：不足；C：无核查数据。期限代码此后不变。", "A: cumulative surrendered is at least cumulative verified; B: less; C: no verified value. The code of the deadline stays.")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (v.tr("单位", "Unit")) } th.n scope="col" { (v.tr("配额 t", "Allowances t")) } th.n scope="col" { (v.tr("核查 t", "Verified t")) } th.n scope="col" { (v.tr("抵消 t", "Offsets t")) } th.n scope="col" { (v.tr("累计清缴 t", "Surrendered, cumulative t")) } th.n scope="col" { (v.tr("尚缺 t", "Missing t")) } th scope="col" { (v.tr("期限时", "At deadline")) } th scope="col" { (v.tr("现在", "Now")) } } }
                tbody { @for r in rows.iter().skip(at.saturating_mul(PER_PAGE)).take(PER_PAGE) { tr {
                    th scope="row" { a href=(v.link(&format!("/registry/party/{}", r.party))) { (r.name.get(v.lang)) } }
                    td.n { (number(r.allocated)) } td.n { (r.verified.map_or("–".into(), number)) } td.n { (number(r.offsets)) } td.n { (number(r.state.surrendered_now)) } td.n { (number(r.state.missing)) }
                    td { (code(v, r.state.at_deadline)) } td { (code(v, Some(r.state.now))) }
                } } }
            } }
            (pager(v, &format!("/registry/compliance?year={year}&"), at, rows.len()))
            (files(v, &[("compliance", &format!("?year={year}"), "履约情况", "Compliance")]))
        })
    })
    .await
}
