//! Projects and credits, with full provenance from proposal to retirement.

use axum::extract::{Path, State};
use maud::html;
use miyun_carbon::project::Stage;
use miyun_registry::time;

use super::pages::{Shared, Shown, body, equation, files, kind, lines, number};
use crate::shell::{View, encode};

fn stage(v: &View, s: Stage) -> &'static str {
    match s {
        Stage::Proposed => v.tr("已申报", "proposed"),
        Stage::Validated => v.tr("已审定", "validated"),
        Stage::Registered => v.tr("已登记", "registered"),
    }
}

/// All projects.
pub async fn list(State(desk): Shared, v: View) -> Shown {
    let title = v.tr("减排项目", "Credit projects").to_owned();
    body(&desk, v, &title, |reg, v| {
        let m = reg.model();
        Ok(html! {
            h1 { (title) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (v.tr("编号", "Id")) } th scope="col" { (v.tr("名称", "Name")) } th scope="col" { (v.tr("业主", "Owner")) } th scope="col" { (v.tr("方法学", "Methodology")) } th scope="col" { (v.tr("阶段", "Stage")) } th.n scope="col" { (v.tr("已签发 t", "Issued t")) } } }
                tbody { @for p in m.projects() { tr {
                    th scope="row" { a href=(v.link(&format!("/registry/project/{}", p.life.id))) { (p.life.id) } }
                    td { (p.name.get(v.lang)) } td { (p.owner) } td { (crate::words::word(v.lang, &p.life.methodology)) } td { (stage(v, p.life.stage)) }
                    td.n { (number(p.life.monitoring.iter().map(|m| m.issued).sum::<u64>())) }
                } } }
            } }
            (files(v, &[("projects", "", "减排项目", "Projects")]))
        })
    })
    .await
}

/// One project, every step with its record.
pub async fn one(State(desk): Shared, v: View, Path((_, id)): Path<(String, String)>) -> Shown {
    body(&desk, v, &id, |reg, v| {
        let m = reg.model();
        let p = m.project(&id)?;
        Ok(html! {
            h1 { (p.name.get(v.lang)) " " span.soft { (p.life.id) } }
            dl.pairs {
                dt { (v.tr("业主", "Owner")) } dd { a href=(v.link(&format!("/registry/party/{}", p.owner))) { (p.owner) } }
                dt { (v.tr("方法学", "Methodology")) } dd { (crate::words::word(v.lang, &p.life.methodology)) }
                dt { (v.tr("开工", "Started")) } dd { (p.life.started) }
                dt { (v.tr("位置", "Where")) } dd { @if p.life.outside { (v.tr("市外", "outside the market")) } @else { (v.tr("市内", "inside the market")) } }
                dt { (v.tr("可逆", "Reversible")) } dd { @if p.life.reversible { (v.tr("是，留缓冲", "yes, with a buffer")) } @else { (v.tr("否", "no")) } }
                dt { (v.tr("阶段", "Stage")) } dd { (stage(v, p.life.stage)) }
                dt { (v.tr("审定机构", "Validator")) } dd { (p.life.validator.as_deref().unwrap_or("–")) }
            }
            h2 { (v.tr("监测期", "Monitoring periods")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "#" } th scope="col" { (v.tr("期间", "Period")) } th scope="col" { (v.tr("核查机构", "Verifier")) } th.n scope="col" { (v.tr("核证 t", "Verified t")) } th.n scope="col" { (v.tr("签发 t", "Issued t")) } th scope="col" { (v.tr("减排量", "Credits")) } } }
                tbody { @for (n, s) in p.life.monitoring.iter().enumerate() {
                    @let asset = format!("{id}-P{n}");
                    tr { th scope="row" { "P" (n) } td { (s.period) } td { (s.verified.as_ref().map_or("–", |x| x.by.as_str())) } td.n { (s.verified.as_ref().map_or("–".into(), |x| number(x.tonnes))) } td.n { (number(s.issued)) }
                    td { @if m.asset(&asset).is_ok() { a href=(v.link(&format!("/registry/credit/{asset}"))) { (asset) } } } }
                } }
            } }
            h2 { (v.tr("来龙去脉", "Provenance")) }
            ol.chain { @for s in &p.history { li { (time::text(s.at)) " " strong { (super::pages::word(v, &s.what)) } " " span lang="" { (s.detail) } " " span.soft.code { (s.by) } " " a href=(v.link(&format!("/registry/record/{}", s.record))) { (v.tr("证明", "proof")) " #" (s.record) } } } }
            @let of = format!("?project={}", encode(&id));
            (files(v, &[("monitoring", &of, "监测期", "Monitoring periods"), ("provenance", &of, "来龙去脉", "Provenance")]))
        })
    })
    .await
}

/// An asset: allowances of a vintage or credits of a monitoring period.
pub async fn asset(State(desk): Shared, v: View, Path((_, name)): Path<(String, String)>) -> Shown {
    body(&desk, v, &name, |reg, v| {
        let b = reg.balance(&name)?;
        let blocks = reg.blocks(&name)?;
        let m = reg.model();
        let a = m.asset(&name)?;
        let of_asset: Vec<_> = m
            .lines()
            .iter()
            .filter(|l| m.account_key(l.debit).is_some_and(|k| k.asset == name))
            .collect();
        Ok(html! {
            h1 { (name) " " span.soft { (v.tr("年份", "vintage")) " " (a.vintage) } }
            @if let Some((p, n)) = &a.project { p { (v.tr("项目", "Project")) " " a href=(v.link(&format!("/registry/project/{p}"))) { (p) } ", P" (n) } }
            (equation(v, &b))
            p.soft { (v.tr("截至记录", "up to record")) " " (b.records) }
            @if !blocks.is_empty() {
                h2 { (v.tr("序列号在谁手里", "Who holds which serials")) }
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { (v.tr("序列号", "Serials")) } th.n scope="col" { "t" } th scope="col" { (v.tr("持有人", "Holder")) } th scope="col" { (v.tr("用途", "Kind")) } th scope="col" { (v.tr("相应调整", "Corresponding adjustment")) } } }
                    tbody { @for b in &blocks { tr { th.code scope="row" { (b.serial) } td.n { (number(b.last - b.first + 1)) } td { a href=(v.link(&format!("/registry/account/{}", b.account))) { (b.holder) } } td { (kind(v, &b.kind)) @if b.locked { " · " (v.tr("锁定", "locked")) } } td { (super::pages::word(v, &b.adjustment)) } } } }
                } }
            }
            h2 { (v.tr("流转", "Movements")) }
            p.soft { (v.tr("最新 200 条在前。", "The newest 200 first.")) }
            (lines(v, u64::MAX, of_asset.iter().rev().take(200).copied()))
            @let of = format!("?asset={}", encode(&name));
            (files(v, &[("blocks", &of, "序列号区间", "Blocks of serials"), ("asset-movements", &of, "流转", "Movements")]))
        })
    })
    .await
}
