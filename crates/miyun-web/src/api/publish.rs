//! Single figures with their reasons, what was published when, and proposals for a second person.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use miyun_core::Assessment;
use miyun_store::{
    Decision, Effect, FigureKey, NewProposal, PersonId, Proposal, ProposalId, PublishedFigure, Role,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::read::{away, known, period};
use super::table::{Body, Cell, Rows, Sheet, SheetQuery, Table, json as answer};
use super::{Denied, said};
use crate::app::{Platform, Shared};
use crate::auth::Viewer;
use crate::policy::{Area, Op};
use crate::problem::Problem;

/// A figure by id, wherever it is kept.
async fn find(p: &Arc<Platform>, id: &str) -> Result<Assessment, Problem> {
    // What is no id is looked for nowhere.
    if miyun_core::AssessmentId::new(id).is_err() {
        return Err(Problem::not_found("there is no such figure"));
    }
    let (q, wanted) = (Arc::clone(p), id.to_owned());
    let kept = away(move || Ok(q.site.figure(&wanted).ok())).await?;
    if let Some(a) = kept {
        return Ok(a);
    }
    match p.store.published_by_id(id).await? {
        Some(f) => Ok(f.assessment),
        None => Err(Problem::not_found(format!(
            "there is no figure {id:?}; a figure gets its id when a page or an evaluation computes it"
        ))),
    }
}

/// A figure with its reasons: value, verdict, rules with clauses, rows with digests, method.
#[utoipa::path(get, operation_id = "publish_figure", path = "/api/v1/figures/{id}", tag = "figures", params(("id" = String, Path, description = "Id of the figure", example = "a-0123456789abcdef")),
    responses((status = 200, description = "The figure", body = Object, example = json!({"id": "a-0123456789abcdef", "subject": "linxi", "indicator": "PM2.5", "statistic": "annual-mean", "period": "2024", "value": "30", "unit": "ug/m3", "verdict": "attained", "limit": "35"})), (status = 404, description = "No such figure", body = Problem)))]
pub(super) async fn figure(
    State(p): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&find(&p, &id).await?, &headers)
}

/// What was published.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PublishedQuery {
    /// Only of this place.
    #[param(example = "linxi")]
    place: Option<String>,
    /// As known at this moment: a day or an RFC 3339 time.
    #[param(example = "2026-11-23")]
    known: Option<String>,
}

const PUBLISHED_MAX: u32 = 100_000;

/// Published figures, each as it was known at a moment.
#[utoipa::path(get, operation_id = "publish_published", path = "/api/v1/published", tag = "figures", params(PublishedQuery, SheetQuery),
    responses((status = 200, description = "Published figures", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn published(
    State(p): Shared,
    Query(q): Query<PublishedQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    let place = q
        .place
        .as_deref()
        .filter(|t| !t.is_empty())
        .map(|t| t.parse())
        .transpose()
        .map_err(|e: miyun_core::IdError| Problem::bad(format!("place: {e}")))?;
    let known = known(q.known.as_deref())?;
    let (_, all) = p
        .store
        .published_list(place.as_ref(), known, 1, PUBLISHED_MAX)
        .await?;
    let rows = all
        .iter()
        .map(|f| {
            let a = &f.assessment;
            vec![
                Cell::text(&a.id),
                Cell::text(&a.subject),
                Cell::text(&a.indicator),
                Cell::text(&a.statistic),
                Cell::text(a.period),
                Cell::text(&f.key.edition),
                Cell::decimal(a.value),
                Cell::text(&a.unit),
                Cell::decimal(a.limit),
                Cell::text(&a.verdict),
                Cell::text(f.published_at),
                Cell::text(&f.reason),
            ]
        })
        .collect();
    sheet.answer(&Table::new(
        "published",
        &[
            "id",
            "place",
            "indicator",
            "statistic",
            "period",
            "edition",
            "value",
            "unit",
            "limit",
            "verdict",
            "published_at",
            "reason",
        ],
        rows,
    ))
}

/// Which figure.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Place.
    #[param(example = "linxi")]
    place: String,
    /// Indicator.
    #[param(example = "PM2.5")]
    indicator: String,
    /// Statistic.
    #[param(example = "annual-mean")]
    statistic: String,
    /// Period.
    #[param(example = "2024")]
    period: String,
    /// Edition.
    #[param(example = "in-force")]
    edition: Option<String>,
}

/// A publication and what it changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Publication {
    /// When it was published.
    published_at: String,
    /// Id of the figure as published.
    figure: String,
    /// Its value.
    value: Option<String>,
    /// Its verdict.
    verdict: String,
    /// Why the one before was corrected.
    reason: String,
    /// Value minus the value before.
    difference: Option<String>,
    /// True if the verdict is another than before.
    verdict_changed: bool,
    /// True if it rests on other rows than before.
    evidence_changed: bool,
    /// True if other rules were applied than before.
    rules_changed: bool,
}

/// Every publication of a figure, newest first, each with the difference to the one before.
#[utoipa::path(get, operation_id = "publish_published_history", path = "/api/v1/published/history", tag = "figures", params(KeyQuery),
    responses((status = 200, description = "Publications", body = Vec<Publication>), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn published_history(
    State(p): Shared,
    Query(q): Query<KeyQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let bad = |name: &str| {
        let name = name.to_owned();
        move |e: miyun_core::IdError| Problem::bad(format!("{name}: {e}"))
    };
    let key = FigureKey {
        subject: q.place.parse().map_err(bad("place"))?,
        indicator: q.indicator.parse().map_err(bad("indicator"))?,
        statistic: q.statistic.parse().map_err(bad("statistic"))?,
        period: period(&q.period)?,
        edition: q.edition.unwrap_or_else(|| "in-force".into()),
    };
    let history = p.store.published_history(&key).await?;
    let all: Vec<Publication> = history
        .iter()
        .enumerate()
        .map(|(i, f)| publication(f, history.get(i + 1)))
        .collect();
    answer(&all, &headers)
}

fn publication(f: &PublishedFigure, before: Option<&PublishedFigure>) -> Publication {
    let d = before.map(|b| f.difference(b));
    Publication {
        published_at: f.published_at.to_string(),
        figure: f.assessment.id.to_string(),
        value: f.assessment.value.map(|v| v.to_string()),
        verdict: f.assessment.verdict.to_string(),
        reason: f.reason.clone(),
        difference: d.as_ref().and_then(|d| d.value).map(|v| v.to_string()),
        verdict_changed: d.as_ref().is_some_and(|d| d.verdict_changed),
        evidence_changed: d.as_ref().is_some_and(|d| d.evidence_changed),
        rules_changed: d.as_ref().is_some_and(|d| d.rules_changed),
    }
}

/// Something that a second person must decide.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(example = json!({"kind": "figure", "figure": "a-0123456789abcdef", "edition": "in-force", "reason": ""}))]
pub(crate) enum NewProposalBody {
    /// Publish a figure, or correct one that was published.
    Figure {
        /// Id of the figure.
        figure: String,
        /// Edition that it was assessed under.
        edition: String,
        /// Why, if it corrects an earlier one.
        #[serde(default)]
        reason: String,
    },
    /// Give somebody the role of administrator.
    Admin {
        /// Who.
        #[schema(value_type = String)]
        person: PersonId,
        /// Why.
        #[serde(default)]
        reason: String,
    },
}

/// Who may propose and decide what.
pub(crate) fn area_of(kind: &str) -> Area {
    if kind == "figure" {
        Area::Quality
    } else {
        Area::Admin
    }
}

/// The id of something new.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Created {
    /// Id.
    pub id: String,
}

pub(super) fn created(id: impl ToString) -> Response {
    (StatusCode::CREATED, Json(Created { id: id.to_string() })).into_response()
}

/// Proposes what a second person decides.
#[utoipa::path(post, operation_id = "publish_propose", path = "/api/v1/proposals", tag = "figures", request_body = NewProposalBody, security(("key" = [])),
    responses((status = 201, description = "Proposed", body = Created), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such figure", body = Problem)))]
pub(super) async fn propose(
    State(p): Shared,
    v: Viewer,
    Body(body): Body<NewProposalBody>,
) -> Result<Response, Problem> {
    Ok(created(put_forward(&p, &v, body).await?))
}

/// Writes a proposal if the viewer may make it.
pub(crate) async fn put_forward(
    p: &Arc<Platform>,
    v: &Viewer,
    body: NewProposalBody,
) -> Result<ProposalId, Problem> {
    let (kind, object, payload, reason) = match body {
        NewProposalBody::Figure {
            figure,
            edition,
            reason,
        } => {
            v.api(Op::Propose, Area::Quality)?;
            if edition != "in-force" && p.site.book.edition("air", &edition).is_err() {
                return Err(Problem::bad(format!("there is no edition {edition:?}")));
            }
            let a = find(p, &figure).await?;
            let payload = json!({"edition": edition, "assessment": a});
            ("figure", format!("figure/{figure}"), payload, reason)
        }
        NewProposalBody::Admin { person, reason } => {
            v.api(Op::Propose, Area::Admin)?;
            let payload = json!({"person": person});
            ("admin", format!("person/{person}"), payload, reason)
        }
    };
    let reason: String = reason.chars().filter(|c| *c != '\0').take(2_000).collect();
    let new = NewProposal {
        kind,
        object: &object,
        payload: &payload,
        reason: &reason,
        by: &v.user_api()?.id,
    };
    let id = p.store.propose(new, p.now()).await?;
    v.audit(p, "propose", &object, &format!("proposal {id}"))
        .await?;
    Ok(id)
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProposalDocument {
    id: String,
    kind: String,
    object: String,
    /// What would be done.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    reason: String,
    proposed_by: String,
    proposed_at: String,
    /// `approved` or `rejected`.
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<String>,
    note: String,
}

fn document(x: &Proposal) -> ProposalDocument {
    ProposalDocument {
        id: x.id.to_string(),
        kind: x.kind.clone(),
        object: x.object.clone(),
        payload: x.payload.clone(),
        reason: x.reason.clone(),
        proposed_by: x.proposed_by.to_string(),
        proposed_at: x.proposed_at.to_string(),
        decision: x.decision.map(|d| {
            if d == Decision::Approved {
                "approved".into()
            } else {
                "rejected".into()
            }
        }),
        decided_by: x.decided_by.as_ref().map(ToString::to_string),
        decided_at: x.decided_at.map(|t| t.to_string()),
        note: x.note.clone(),
    }
}

/// Proposals that wait, of the kinds that the viewer may decide or propose.
#[utoipa::path(get, operation_id = "publish_proposals", path = "/api/v1/proposals", tag = "figures", security(("key" = [])),
    responses((status = 200, description = "Proposals that wait", body = Vec<ProposalDocument>), (status = 401, description = "Nobody is signed in", body = Problem)))]
pub(super) async fn proposals(
    State(p): Shared,
    v: Viewer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    v.user_api()?;
    let all = p.store.proposals(true, 500).await?;
    let mine: Vec<ProposalDocument> = all
        .iter()
        .filter(|x| {
            let area = area_of(&x.kind);
            v.may(Op::Propose, area) || v.may(Op::Decide, area)
        })
        .map(document)
        .collect();
    answer(&mine, &headers)
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"approve": true, "note": "compared with the report"}))]
pub(super) struct DecisionBody {
    /// True lets it take effect.
    pub approve: bool,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// Decides a proposal of somebody else; what was approved takes effect at once.
#[utoipa::path(post, operation_id = "publish_decide", path = "/api/v1/proposals/{id}/decision", tag = "figures", params(("id" = String, Path)), request_body = DecisionBody, security(("key" = [])),
    responses((status = 200, description = "Decided", body = ProposalDocument), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such proposal", body = Problem), (status = 409, description = "Decided already, or a second person is needed", body = Problem)))]
pub(super) async fn decide(
    State(p): Shared,
    v: Viewer,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<DecisionBody>,
) -> Result<Response, Problem> {
    let decided = settle(&p, &v, &id, body.approve, &body.note).await?;
    answer(&document(&decided), &headers)
}

/// Decides a proposal if the viewer may.
pub(crate) async fn settle(
    p: &Platform,
    v: &Viewer,
    id: &str,
    approve: bool,
    note: &str,
) -> Result<Proposal, Problem> {
    let user = v.user_api()?;
    let none = || Problem::not_found("there is no such proposal");
    let id: ProposalId = id.parse().map_err(|_| none())?;
    let found = p.store.proposal(&id).await?.ok_or_else(none)?;
    v.api(Op::Decide, area_of(&found.kind))?;
    let (decision, effect) = if approve {
        (Decision::Approved, effect(&found)?)
    } else {
        (Decision::Rejected, Effect::None)
    };
    let note = said(note);
    let decided = p
        .store
        .decide(&id, decision, &effect, &user.id, &note, p.now())
        .await?;
    let action = if approve { "approve" } else { "reject" };
    v.audit(p, action, &decided.object, &format!("proposal {id}"))
        .await?;
    p.site.changed();
    Ok(decided)
}

/// What the approval of a proposal brings about.
fn effect(x: &Proposal) -> Result<Effect, Problem> {
    if x.kind == "figure" {
        let a: Assessment =
            serde_json::from_value(x.payload["assessment"].clone()).map_err(Problem::internal)?;
        let edition = x.payload["edition"].as_str().unwrap_or("in-force");
        Ok(Effect::Publish(FigureKey::of(&a, edition), Box::new(a)))
    } else {
        let person: PersonId =
            serde_json::from_value(x.payload["person"].clone()).map_err(Problem::internal)?;
        Ok(Effect::Grant(person, Role::Admin))
    }
}
