//! Mirrors of other registries: read only, marked as such, with what was wrong in the extract.

use axum::extract::{Path, Query, State};
use maud::html;
use miyun_core::text::Lang;
use miyun_registry::Error;
use miyun_registry::mirror::Mirror;

use super::Desk;
use super::pages::{PER_PAGE, Params, Shared, Shown, body, files, number, pager};
use crate::shell::{View, encode};

pub(super) fn find<'d>(desk: &'d Desk, name: &str) -> Result<&'d Mirror, Error> {
    desk.mirrors
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::Unknown {
            kind: "mirror",
            id: name.chars().take(80).collect(),
        })
}

/// A mirror.
pub async fn page(
    State(desk): Shared,
    v: View,
    Path((_, name)): Path<(String, String)>,
    Query(q): Params,
) -> Shown {
    let at: usize = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    let title = format!("{} {name}", v.tr("镜像", "Mirror"));
    body(&desk, v, &title, |_, v| {
        let m = find(&desk, &name)?;
        let differ = m.units.iter().filter(|u| !u.agrees()).count();
        let units: u64 = m
            .blocks
            .iter()
            .map(|b| b.quantity)
            .fold(0, u64::saturating_add);
        Ok(html! {
            h1 { (title) }
            p.note { (v.tr("他处登记系统公开数据的只读镜像，不在本账本之内。", "A read-only mirror of another registry's public extract; nothing of it is in this ledger.")) " " @if v.known.is_some() { (v.tr("镜像不随时间回溯，显示的是今天的摘录。", "A mirror has no past of its own: it shows the extract of today.")) " " } span.code { "sha256 " (m.sha256.get(..16).unwrap_or("")) "…" } }
            @if !m.problems.is_empty() { details { summary { (m.problems.len()) " " (v.tr("个问题", "problems")) } ul { @for p in m.problems.iter().take(50) { li { (p) } } } } }
            @if !m.units.is_empty() {
                p.lead { (match v.lang { Lang::Zh => format!("{} 条单位年度记录，{differ} 条的公布代码与现算代码不同（期限代码保持不变，逾期补足者属此）。", m.units.len()), Lang::En => format!("{} unit-years; in {differ} the published code differs from the state now, as where a debt was settled after the deadline.", m.units.len()) }) }
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { (v.tr("设施", "Installation")) } th scope="col" { (v.tr("年", "Year")) } th.n scope="col" { (v.tr("配额", "Allowances")) } th.n scope="col" { (v.tr("核查", "Verified")) } th.n scope="col" { (v.tr("累计核查", "Verified, cumulative")) } th.n scope="col" { (v.tr("累计清缴", "Surrendered, cumulative")) } th scope="col" { (v.tr("公布", "Published")) } th scope="col" { (v.tr("现算", "Now")) } } }
                    tbody { @for u in m.units.iter().skip(at.saturating_mul(PER_PAGE)).take(PER_PAGE) { tr {
                        @let opt = |n: Option<u64>| n.map_or("–".into(), number);
                        th scope="row" { (u.id) } td { (u.year) } td.n { (opt(u.allocated)) } td.n { (opt(u.verified)) } td.n { (opt(u.cumulative_verified)) } td.n { (number(u.cumulative_surrendered)) } td { (u.published) } td { (u.computed.letter()) @if !u.agrees() { " ≠" } }
                    } } }
                } }
                (pager(v, &format!("/registry/mirror/{name}?"), at, m.units.len()))
                (files(v, &[("mirror-units", &format!("?mirror={}", encode(&name)), "单位年度", "Unit-years")]))
            }
            @if !m.blocks.is_empty() {
                p.lead { (match v.lang { Lang::Zh => format!("{} 个序列号区间，共 {} 单位。", m.blocks.len(), number(units)), Lang::En => format!("{} blocks of serials, {} units.", m.blocks.len(), number(units)) }) }
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { (v.tr("登记处", "Registry")) } th scope="col" { (v.tr("项目", "Project")) } th scope="col" { (v.tr("序列号", "Serial")) } th.n scope="col" { (v.tr("数量", "Quantity")) } th scope="col" { (v.tr("年份", "Vintage")) } th scope="col" { (v.tr("状态", "Status")) } } }
                    tbody { @for b in m.blocks.iter().skip(at.saturating_mul(PER_PAGE)).take(PER_PAGE) { tr { td { (b.registry) } td { (b.project) } th.code scope="row" { (b.serial) } td.n { (number(b.quantity)) } td { (b.vintage) } td { (b.status) } } } }
                } }
                (pager(v, &format!("/registry/mirror/{name}?"), at, m.blocks.len()))
                (files(v, &[("mirror-blocks", &format!("?mirror={}", encode(&name)), "序列号区间", "Blocks of serials")]))
            }
        })
    })
    .await
}
