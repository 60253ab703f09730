//! Overview, parties, accounts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_registry::model::Line;
use miyun_registry::statement::{AccountView, AssetBalance};
use miyun_registry::{Error, Registry, time};

use super::Desk;
use super::problem::PageProblem;
use crate::shell::{View, encode, page};
use crate::show;

pub(super) type Shared = State<Arc<Desk>>;
pub(super) type Params = Query<HashMap<String, String>>;
pub(super) type Shown = Result<Html<String>, PageProblem>;

/// Rows of a page of a list.
pub(super) const PER_PAGE: usize = 100;

/// A page of the registry, with its own navigation.
pub(super) fn shown(
    desk: &Desk,
    registry: &Registry,
    view: &View,
    title: &str,
    body: Markup,
) -> Html<String> {
    let (simulated, market) = {
        let m = registry.model();
        (m.simulated(), m.market().to_owned())
    };
    let links = [
        ("", "总览", "Overview"),
        ("/parties", "主体", "Parties"),
        ("/projects", "项目", "Projects"),
        ("/compliance", "履约", "Compliance"),
        ("/retirements", "注销查询", "Retirements"),
        ("/check", "核对证书", "Check a certificate"),
    ];
    let whole = html! {
        nav aria-label=(view.tr("登记导航", "Registry")) { p {
            @for (i, (path, zh, en)) in links.iter().enumerate() { @if i > 0 { " · " } a href=(view.link(&format!("/registry{path}"))) { (view.tr(zh, en)) } }
            @for m in &desk.mirrors { " · " a href=(view.link(&format!("/registry/mirror/{}", m.name))) { (view.tr("镜像：", "Mirror: ")) (m.name) } }
            span.soft { " · " (market) }
        } }
        (body)
    };
    Html(page(view, title, simulated, whole).into_string())
}

/// Runs what builds a body, over the registry as known at the reader's moment; a refusal becomes a
/// page in the reader's language.
pub(super) async fn body(
    desk: &Desk,
    view: View,
    title: &str,
    make: impl FnOnce(&Registry, &View) -> Result<Markup, Error> + Send,
) -> Shown {
    let made = match desk.at(view.known.as_deref()).await {
        Ok(r) => make(&r, &view).map(|b| shown(desk, &r, &view, title, b)),
        Err(e) => Err(e),
    };
    made.map_err(|e| PageProblem(Box::new(view), e))
}

/// Balances of all assets.
pub(super) fn balances(registry: &Registry) -> Result<Vec<AssetBalance>, Error> {
    let names: Vec<String> = {
        let model = registry.model();
        model.assets().map(|a| a.name.clone()).collect()
    };
    names.iter().map(|n| registry.balance(n)).collect()
}

/// A kind of account or part of a balance in the reader's language.
pub(super) fn kind(view: &View, word: &str) -> String {
    let zh = match word {
        "holding" => "持有",
        "locked" => "锁定",
        "surrendered" => "清缴",
        "retired" => "注销",
        "cancelled" => "取消",
        "buffer" => "缓冲",
        "exported" => "转出",
        "consumed" => "结转",
        "contra" => "签发对方",
        other => other,
    };
    view.tr(zh, if word == "holding" { "held" } else { word })
        .to_owned()
}

/// What happened to units, or the state of a transfer, in the reader's language.
pub(super) fn word<'w>(view: &View, word: &'w str) -> &'w str {
    let zh = match word {
        "propose" => "申报",
        "validate" => "审定",
        "register" => "登记",
        "monitor" => "监测",
        "verify" => "核查",
        "issue" => "签发",
        "allocate" => "分配",
        "transfer" => "划转",
        "reserve transfer" => "划转预留",
        "void" => "预留解除",
        "surrender" => "清缴",
        "convert" => "结转",
        "retire" => "注销",
        "cancel" => "取消",
        "offset" => "用于抵销清缴",
        "reversal" => "逆转",
        "adjust" => "相应调整",
        "buffer_in" => "计入缓冲",
        "export" => "转出",
        "reverse" => "冲正",
        "proposed" => "已提出",
        "approved" => "已批准",
        "settled" => "已完成",
        "withdrawn" => "已撤回",
        "lapsed" => "已过期",
        "none" => "无",
        "authorised" => "已授权",
        "applied" => "已调整",
        other => other,
    };
    view.tr(zh, word)
}

/// A rule with its clause; that nobody compared it with the print is said in the reader's language.
pub(super) fn rule(view: &View, text: &str) -> String {
    match text.strip_suffix(" (unverified)") {
        Some(bare) => format!("{bare}{}", view.tr("（未核实）", " (unverified)")),
        None => text.to_owned(),
    }
}

/// A number with thin groups, for people.
pub(super) fn number(n: impl std::fmt::Display) -> String {
    let text = n.to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |d| ("-", d));
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The sentence "issued = held + ...", with its verdict and proof.
pub(super) fn equation(view: &View, b: &AssetBalance) -> Markup {
    html! {
        p {
            strong { a href=(view.link(&format!("/registry/asset/{}", b.asset))) { (b.asset) } } ": "
            (view.tr("签发", "issued")) " " (number(b.issued)) " = "
            @for (i, (part, tonnes)) in b.parts.iter().enumerate() { @if i > 0 { " + " } (kind(view, part)) " " (number(tonnes)) }
            " "
            @if b.balanced { span class="verdict good" { "✓ " (view.tr("相符", "adds up")) } } @else { span class="verdict bad" { "× " (view.tr("不符", "does not add up")) } }
            @match b.serials { Some(true) => { " " span class="verdict good" { "✓ " (view.tr("序列号无缝无重", "serials partition")) } }, Some(false) => { " " span class="verdict bad" { "× " (view.tr("序列号有误", "serials do not partition")) } }, None => {} }
        }
    }
}

/// Opening page.
pub async fn overview(State(desk): Shared, v: View) -> Shown {
    let title = v.tr("碳登记", "Carbon registry").to_owned();
    body(&desk, v, &title, |reg, v| {
        let balances = balances(reg)?;
        let head = reg.head()?;
        let (parties, projects, retired, records) = {
            let m = reg.model();
            (
                m.parties().count(),
                m.projects().count(),
                m.retirements().count(),
                m.records(),
            )
        };
        Ok(html! {
            h1 { (title) }
            p.lead { (match v.lang {
                Lang::Zh => format!("{parties} 个主体，{projects} 个项目，{retired} 次注销；全部记在一本可由任何人核对的账上。"),
                Lang::En => format!("{parties} parties, {projects} projects, {retired} retirements, all in one ledger that anybody can check."),
            }) }
            h2 { (v.tr("每一吨在哪里", "Where every tonne is")) }
            @for b in &balances { (equation(v, b)) }
            h2 { (v.tr("账本", "The ledger")) }
            dl.pairs {
                dt { (v.tr("记录", "Records")) } dd { (number(records)) }
                dt { (v.tr("批次", "Batches")) } dd { (number(head.batches)) }
                dt { (v.tr("树根", "Root")) } dd.code { (hex::encode(head.root)) }
                dt { (v.tr("账本编号", "Ledger")) } dd.code { (hex::encode(head.ledger)) }
                dt { (v.tr("登记机构公钥", "Operator's key")) } dd.code { (hex::encode(reg.operator_key())) }
                dt { (v.tr("签名", "Signature")) } dd.code { (hex::encode(head.signature)) }
            }
            h2 { (v.tr("下载", "Download")) }
            (files(v, &[("assets", "", "每一吨在哪里", "Where every tonne is"), ("movements", "", "全部流水", "Every movement")]))
            p { a href="/api/registry/v1/cad-trust" { "CAD Trust" } " · " a href="/api/registry/v1/openapi.json" { "OpenAPI" } }
        })
    })
    .await
}

/// All parties.
pub async fn parties(State(desk): Shared, v: View, Query(q): Params) -> Shown {
    let title = v.tr("主体", "Parties").to_owned();
    let at: usize = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    body(&desk, v, &title, |reg, v| {
        let m = reg.model();
        let total = m.parties().count();
        Ok(html! {
            h1 { (title) " (" (total) ")" }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (v.tr("编号", "Id")) } th scope="col" { (v.tr("名称", "Name")) } th scope="col" { (v.tr("类别", "Role")) } th scope="col" { (v.tr("关联方组", "Related group")) } th scope="col" { (v.tr("状态", "State")) } } }
                tbody { @for p in m.parties().skip(at.saturating_mul(PER_PAGE)).take(PER_PAGE) { tr {
                    th scope="row" { a href=(v.link(&format!("/registry/party/{}", p.id))) { (p.id) } }
                    td { (p.name.get(v.lang)) } td { (p.role.text().get(v.lang)) } td { (p.group) }
                    td { @if p.frozen { span class="verdict bad" { "× " (v.tr("冻结", "frozen")) } } @else { (v.tr("正常", "open")) } }
                } } }
            } }
            (pager(v, "/registry/parties?", at, total))
            (files(v, &[("parties", "", "主体", "Parties")]))
        })
    })
    .await
}

/// The tables of a page as files.
pub(super) fn files(v: &View, tables: &[(&str, &str, &'static str, &'static str)]) -> Markup {
    let files: Vec<show::File> = tables
        .iter()
        .map(|(name, query, zh, en)| (format!("/api/registry/v1/tables/{name}{query}"), *zh, *en))
        .collect();
    show::downloads(v, &files)
}

/// Links to the pages before and after.
pub(super) fn pager(v: &View, path: &str, at: usize, total: usize) -> Markup {
    let link = |n: usize| v.link(&format!("{path}page={n}"));
    html! { @if total > PER_PAGE { p {
        @if at > 0 { a href=(link(at - 1)) { (v.tr("上一页", "Previous")) } " " }
        (at.saturating_mul(PER_PAGE) + 1) "–" (at.saturating_add(1).saturating_mul(PER_PAGE).min(total)) " / " (total)
        @if at.saturating_add(1).saturating_mul(PER_PAGE) < total { " " a href=(link(at + 1)) { (v.tr("下一页", "Next")) } }
    } } }
}

fn account_row(v: &View, a: &AccountView) -> Markup {
    html! { tr {
        th scope="row" { a href=(v.link(&format!("/registry/account/{}", a.account))) { (a.account) } }
        td { a href=(v.link(&format!("/registry/asset/{}", a.key.asset))) { (a.key.asset) } }
        td { (kind(v, a.key.kind.name())) @if a.key.year > 0 { " " (a.key.year) } }
        td.n { (number(a.balance)) } td.n { (number(a.available)) } td.n { (number(a.arriving)) }
    } }
}

/// One party with its accounts and transfers.
pub async fn party(State(desk): Shared, v: View, Path((_, id)): Path<(String, String)>) -> Shown {
    body(&desk, v, &id, |reg, v| {
        let accounts = reg.accounts(&id)?;
        let now = reg.now();
        let m = reg.model();
        let p = m.party(&id)?;
        Ok(html! {
            h1 { (p.name.get(v.lang)) " " span.soft { (p.id) } }
            p { (p.role.text().get(v.lang)) " · " (v.tr("关联方组", "related group")) " " (p.group) @if p.frozen { " · " span class="verdict bad" { "× " (v.tr("冻结", "frozen")) } } }
            h2 { (v.tr("账户", "Accounts")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (v.tr("账号", "Account")) } th scope="col" { (v.tr("单位", "Units")) } th scope="col" { (v.tr("用途", "Kind")) } th.n scope="col" { (v.tr("余额 t", "Balance t")) } th.n scope="col" { (v.tr("可用 t", "Free t")) } th.n scope="col" { (v.tr("待入 t", "Arriving t")) } } }
                tbody { @for a in &accounts { (account_row(v, a)) } }
            } }
            h2 { (v.tr("划转", "Transfers")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (v.tr("提出时间", "Proposed")) } th scope="col" { (v.tr("转出", "From")) } th scope="col" { (v.tr("转入", "To")) } th scope="col" { (v.tr("单位", "Units")) } th.n scope="col" { "t" } th scope="col" { (v.tr("状态", "State")) } th scope="col" { (v.tr("生效", "Effective")) } th scope="col" { (v.tr("依据", "Rule")) } } }
                tbody { @for t in m.transfers().filter(|t| t.from == id || t.to == id) { tr {
                    td { (time::text(t.proposed_at)) } td { (t.from) } td { (t.to) } td { (t.asset) } td.n { (number(t.amount)) }
                    td { (word(v, t.state_at(now).word())) } td { (t.effective.map(time::text).unwrap_or_default()) } td.soft { (rule(v, &t.rule)) }
                } } }
            } }
            @let of = format!("?party={}", encode(&id));
            (files(v, &[("accounts", &of, "账户", "Accounts"), ("transfers", &of, "划转", "Transfers")]))
        })
    })
    .await
}

/// Movements as a table.
pub(super) fn lines<'l>(v: &View, account: u64, rows: impl Iterator<Item = &'l Line>) -> Markup {
    html! { div.scroll tabindex="0" { table {
        thead { tr { th scope="col" { (v.tr("时间", "Time")) } th scope="col" { (v.tr("事项", "What")) } th scope="col" { (v.tr("对方账户", "Other account")) } th.n scope="col" { "t" } th scope="col" { (v.tr("序列号", "Serials")) } th scope="col" { (v.tr("依据", "Rule")) } th scope="col" { (v.tr("证明", "Proof")) } } }
        tbody { @for l in rows {
            @let out = l.debit.0 == account;
            @let other = if out { l.credit.0 } else { l.debit.0 };
            tr {
                td { (time::text(l.at)) } td { (word(v, &l.what)) }
                td { a href=(v.link(&format!("/registry/account/{other}"))) { (other) } }
                td.n { @if l.posted { @if out { "−" } @else { "+" } } @else { "(" } (number(l.amount)) @if !l.posted { ")" } }
                td { (serial_text(&l.serials)) } td.soft { (rule(v, &l.rule)) }
                td { a href=(v.link(&format!("/registry/record/{}", l.record))) { "#" (l.record) } }
            }
        } }
    } } }
}

/// Serials for people.
pub(super) fn serial_text(list: &[[u64; 2]]) -> String {
    list.iter()
        .map(|[a, b]| format!("{a}–{b}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// An account statement.
pub async fn account(
    State(desk): Shared,
    v: View,
    Path((_, account)): Path<(String, u64)>,
    Query(q): Params,
) -> Shown {
    let title = format!("{} {account}", v.tr("账户", "Account"));
    let at: usize = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    body(&desk, v, &title, |reg, v| {
        let (a, rows) = reg.statement(account)?;
        Ok(html! {
            h1 { (title) }
            dl.pairs {
                dt { (v.tr("持有人", "Holder")) } dd { a href=(v.link(&format!("/registry/party/{}", a.key.party))) { (a.key.party) } }
                dt { (v.tr("单位", "Units")) } dd { a href=(v.link(&format!("/registry/asset/{}", a.key.asset))) { (a.key.asset) } }
                dt { (v.tr("用途", "Kind")) } dd { (kind(v, a.key.kind.name())) @if a.key.year > 0 { " " (a.key.year) } }
                dt { (v.tr("余额", "Balance")) } dd { (number(a.balance)) " t" }
                dt { (v.tr("可用", "Free")) } dd { (number(a.available)) " t" }
                dt { (v.tr("待入", "Arriving")) } dd { (number(a.arriving)) " t" }
            }
            @if !a.blocks.is_empty() { h2 { (v.tr("序列号区间", "Blocks")) } ul { @for b in &a.blocks { li.code { (b.serial) " (" (number(b.last - b.first + 1)) " t" @if b.locked { ", " (v.tr("锁定", "locked")) } ")" } } } }
            h2 { (v.tr("流水", "Statement")) }
            p.soft { (v.tr("括号内为预留，尚未过账。最新在前。", "Brackets are reservations, not posted. Newest first.")) }
            (lines(v, account, rows.iter().rev().skip(at.saturating_mul(PER_PAGE)).take(PER_PAGE)))
            (pager(v, &format!("/registry/account/{account}?"), at, rows.len()))
            (files(v, &[("statement", &format!("?account={account}"), "流水", "Statement")]))
        })
    })
    .await
}
