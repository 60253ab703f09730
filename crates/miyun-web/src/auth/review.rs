//! Pages of the second person: what waits, and its decision.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use miyun_store::{PersonId, Proposal};
use serde::Deserialize;

use super::viewer::{Refused, Viewer};
use crate::api::publish::{NewProposalBody, area_of, put_forward, settle};
use crate::app::{Platform, Shared};
use crate::policy::{Area, Op};
use crate::problem::Problem;
use crate::shell::{View, page};
use crate::show;

/// What waits, of the kinds that the viewer may propose or decide.
pub(super) async fn list(State(p): Shared, view: View, v: Viewer) -> Result<Response, Refused> {
    show(&p, &view, &v, None).await
}

async fn show(
    p: &Platform,
    view: &View,
    v: &Viewer,
    wrong: Option<&str>,
) -> Result<Response, Refused> {
    v.signed_in()?;
    if !v.may(Op::Propose, Area::Admin) {
        v.require(Op::Propose, Area::Quality)?;
    }
    let all = p
        .store
        .proposals(true, 200)
        .await
        .map_err(|e| v.broken(&e))?;
    let mine: Vec<&Proposal> = all
        .iter()
        .filter(|x| v.may(Op::Propose, area_of(&x.kind)) || v.may(Op::Decide, area_of(&x.kind)))
        .collect();
    let mut names = BTreeMap::new();
    for id in mine.iter().flat_map(|x| people(x)) {
        if let Some(person) = p.store.person(&id).await.map_err(|e| v.broken(&e))? {
            names.insert(id, person.name);
        }
    }
    let candidates = if v.may(Op::Propose, Area::Admin) {
        let (_, all) = p.store.people(1, 500).await.map_err(|e| v.broken(&e))?;
        all
    } else {
        Vec::new()
    };
    let body = html! {
        h1 { (view.tr("待复核", "Waiting for a second person")) }
        @if let Some(w) = wrong { p.note role="alert" { (w) } }
        @if mine.is_empty() { p { (view.tr("没有待复核的事项。", "Nothing waits.")) } }
        @for x in &mine { (one(view, v, x, &names)) }
        @if v.may(Op::Propose, Area::Quality) {
            h2 { (view.tr("提请发布一个数字", "Propose to publish a figure")) }
            form method="post" action=(view.link("/proposals")) {
                input type="hidden" name="csrf" value=(v.csrf);
                p { label { (view.tr("数字编号", "Id of the figure")) br; input name="figure" required placeholder="a-…"; } }
                p { label { (view.tr("标准版本", "Edition")) br; select name="edition" {
                    option value="in-force" { (view.tr("现行", "in force")) }
                    @for e in p.site.book.editions() { option value=(e.id) { (e.title.get(view.lang)) } }
                } } }
                p { label { (view.tr("理由（更正已发布的数字时必填）", "Reason (required if it corrects a published figure)")) br; input name="reason"; } }
                p { button { (view.tr("提请", "Propose")) } }
            }
        }
        @if !candidates.is_empty() {
            h2 { (view.tr("提请任命一名管理员", "Propose to make somebody an administrator")) }
            form method="post" action=(view.link("/proposals")) {
                input type="hidden" name="csrf" value=(v.csrf);
                p { label { (view.tr("何人", "Who")) br; select name="person" { @for x in candidates.iter().filter(|x| x.disabled_at.is_none()) { option value=(x.id) { (x.name) " (" (x.login) ")" } } } } }
                p { label { (view.tr("理由", "Reason")) br; input name="reason"; } }
                p { button { (view.tr("提请任命", "Propose the appointment")) } }
            }
        }
    };
    let title = view.tr("待复核", "Waiting for a second person");
    let text = page(view, title, false, body).into_string();
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    Ok((status, Html(text)).into_response())
}

/// Whom a proposal names: who made it, and whom it makes an administrator.
fn people(x: &Proposal) -> Vec<PersonId> {
    let object = x
        .object
        .strip_prefix("person/")
        .and_then(|p| p.parse().ok());
    object.into_iter().chain([x.proposed_by.clone()]).collect()
}

fn one(view: &View, v: &Viewer, x: &Proposal, names: &BTreeMap<PersonId, String>) -> Markup {
    let name = |id: &PersonId| names.get(id).map_or_else(|| id.to_string(), Clone::clone);
    let a = &x.payload["assessment"];
    let text = |key: &str| a[key].as_str().unwrap_or("–").to_owned();
    let own = v.user.as_ref().is_some_and(|u| u.id == x.proposed_by);
    html! {
        section {
            h2 { (if x.kind == "figure" { view.tr("发布数字", "Publish a figure") } else { view.tr("任命管理员", "Make an administrator") }) }
            @if x.kind == "figure" {
                p { (text("subject")) " · " (show::indicator(view.lang, &text("indicator"))) " " (show::statistic(view.lang, &text("statistic"))) " · " (text("period")) ": "
                    strong { (text("value")) " " (show::unit(view.lang, &text("unit"))) } " · "
                    a href=(view.link(&format!("/why/{}", text("id")))) { (view.tr("为什么", "why")) } }
            } @else { p { @for id in people(x).iter().take(1) { (name(id)) } } }
            @if !x.reason.is_empty() { p { (view.tr("理由：", "Reason: ")) span lang="" { (x.reason) } } }
            p.soft { (name(&x.proposed_by)) " · " time datetime=(x.proposed_at) { (x.proposed_at.strftime("%Y-%m-%d %H:%M").to_string()) " UTC" } }
            @if own { p.soft { (view.tr("须由另一人决定。", "Another person must decide.")) } }
            @else if v.may(Op::Decide, area_of(&x.kind)) {
                form.inline method="post" action=(view.link(&format!("/proposals/{}", x.id))) {
                    input type="hidden" name="csrf" value=(v.csrf);
                    label { (view.tr("意见", "Note")) " " input name="note"; } " "
                    button name="decision" value="approve" { (view.tr("同意", "Approve")) } " "
                    button name="decision" value="reject" { (view.tr("退回", "Send back")) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ProposeForm {
    #[serde(default)]
    figure: String,
    #[serde(default)]
    edition: String,
    /// Who is to be an administrator; then it is about no figure.
    person: Option<PersonId>,
    #[serde(default)]
    reason: String,
}

/// Proposes to publish a figure, or to make somebody an administrator.
pub(super) async fn propose(
    State(p): Shared,
    view: View,
    v: Viewer,
    Form(f): Form<ProposeForm>,
) -> Result<Response, Refused> {
    let area = if f.person.is_some() {
        Area::Admin
    } else {
        Area::Quality
    };
    v.require(Op::Propose, area)?;
    let (figure, edition, reason) = (f.figure.trim().to_owned(), f.edition, f.reason);
    let body = match f.person {
        Some(person) => NewProposalBody::Admin { person, reason },
        None => NewProposalBody::Figure {
            figure,
            edition,
            reason,
        },
    };
    match put_forward(&p, &v, body).await {
        Ok(_) => Ok(Redirect::to(&view.link("/proposals")).into_response()),
        Err(Problem { detail, .. }) => show(&p, &view, &v, Some(&detail)).await,
    }
}

#[derive(Deserialize)]
pub(super) struct DecideForm {
    decision: String,
    #[serde(default)]
    note: String,
}

/// Decides what somebody else proposed.
pub(super) async fn decide(
    State(p): Shared,
    view: View,
    v: Viewer,
    Path((_, id)): Path<(String, String)>,
    Form(f): Form<DecideForm>,
) -> Result<Response, Refused> {
    v.signed_in()?;
    match settle(&p, &v, &id, f.decision == "approve", &f.note).await {
        Ok(_) => Ok(Redirect::to(&view.link("/proposals")).into_response()),
        Err(problem) if problem.status == 409 => show(&p, &view, &v, Some(&problem.detail)).await,
        Err(problem) => Err(v.refuse(problem.code, &problem.detail)),
    }
}
