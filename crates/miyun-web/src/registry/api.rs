//! The API. Every refusal is problem+json with a stable code; every figure names its record.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use miyun_registry::statement::{AccountView, AssetBalance, BlockView, ComplianceRow};
use miyun_registry::{Error, Registry, certificate, export, fold::Filing, time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::Desk;
use super::problem::{Problem, ProblemBody};
use crate::api::describe::{REGISTRY, describe};

type Shared = State<Arc<Desk>>;
type Answered<T> = Result<Json<T>, Problem>;

/// Signed request (see the registry guide for what is signed).
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the body; the registry reads the bytes")]
pub struct EnvelopeBody {
    /// `PARTY:REPRESENTATIVE`.
    by: String,
    /// The request as JSON text: id (32 hexadecimal digits), from, until, ask.
    request: String,
    /// Ed25519 signature, hexadecimal.
    signature: String,
}

/// What a request brought about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnswerBody {
    /// Request id.
    id: String,
    /// Record in the journal; its proof is at `/proofs/{record}`.
    record: u64,
    /// True if it had been done before: nothing happened now.
    replayed: bool,
    /// The rulebook row that permitted it.
    rule: String,
    /// State of the transfer, for requests about one.
    transfer: Option<String>,
    /// From when the transfer may be posted.
    effective: Option<String>,
    /// Serials that moved.
    serials: Vec<[u64; 2]>,
}

/// The OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Miyun carbon registry",
        description = "Signed requests in, proofs out. Refusals are application/problem+json with a stable `code`; a refused request has changed nothing; the same request sent again gets its first answer."
    ),
    paths(
        submit,
        head,
        proof,
        check,
        parties,
        party,
        account,
        assets,
        asset,
        projects,
        project,
        transfer,
        retirements,
        retirement,
        certificate,
        compliance,
        movements,
        cad_trust,
        mirror,
        super::sheets::sheet
    ),
    components(schemas(EnvelopeBody, AnswerBody, ProblemBody, crate::api::Rows))
)]
pub struct Document;

/// The OpenAPI document of this API.
pub async fn openapi() -> Response {
    let mut document = Document::openapi();
    describe(&mut document, &REGISTRY);
    let text = document.to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Takes a signed request.
#[utoipa::path(post, path = "/api/registry/v1/requests", request_body = EnvelopeBody, responses(
    (status = 200, description = "Done, or done before", body = AnswerBody),
    (status = "4XX", description = "Refused; nothing has changed", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn submit(State(desk): Shared, body: Bytes) -> Result<Response, Problem> {
    Ok(Json(desk.submit(body.to_vec()).await?).into_response())
}

/// The signed head of the journal and the operator's public key.
#[utoipa::path(get, path = "/api/registry/v1/head", responses((status = 200, description = "Signed head")))]
pub async fn head(State(desk): Shared) -> Answered<Value> {
    let head = desk.registry.head()?;
    Ok(Json(json!({
        "head": miyun_journal::proof::HeadText::of(&head),
        "operator": hex::encode(desk.registry.operator_key()),
    })))
}

/// The inclusion proof of a record.
#[utoipa::path(get, path = "/api/registry/v1/proofs/{record}", params(("record" = u64, Path)), responses((status = 200, description = "Proof"), (status = 404, body = ProblemBody)))]
pub async fn proof(State(desk): Shared, Path(record): Path<u64>) -> Answered<Value> {
    Ok(Json(desk.registry.proof(record)?.to_json()))
}

/// Checks a proof that somebody brings, against this registry's key.
#[utoipa::path(post, path = "/api/registry/v1/proofs/check", responses((status = 200, description = "What it proves"), (status = 400, body = ProblemBody)))]
pub async fn check(State(desk): Shared, body: String) -> Answered<Value> {
    let (record, at, filing) = checked(&desk.registry, &body)?;
    Ok(Json(json!({
        "record": record,
        "at": time::text(at),
        "by": filing.envelope.by,
        "request": serde_json::from_str::<Value>(&filing.envelope.request).unwrap_or_default(),
        "rule": filing.out.rule,
    })))
}

/// What a proof proves: record, instant, filing.
pub(super) fn checked(
    reg: &Registry,
    text: &str,
) -> Result<(u64, miyun_ledger::Time, Filing), Error> {
    let bad = |e: &dyn std::fmt::Display| Error::Malformed(format!("the proof does not hold: {e}"));
    let proof = miyun_journal::proof::Proof::from_json(text).map_err(|e| bad(&e))?;
    let proved = proof.check(&reg.operator_key()).map_err(|e| bad(&e))?;
    let (filing, _) = Filing::of(proved.number, &proved.record.command)?
        .ok_or_else(|| bad(&"its record is a definition, not a request"))?;
    Ok((proved.number, proved.header.time, filing))
}

/// All parties.
#[utoipa::path(get, path = "/api/registry/v1/parties", responses((status = 200, description = "Parties")))]
pub async fn parties(State(desk): Shared) -> Json<Value> {
    let model = desk.registry.model();
    Json(json!(model.parties().collect::<Vec<_>>()))
}

/// A party and its accounts.
#[utoipa::path(get, path = "/api/registry/v1/parties/{id}", params(("id" = String, Path)), responses((status = 200, description = "Party with accounts"), (status = 404, body = ProblemBody)))]
pub async fn party(State(desk): Shared, Path(id): Path<String>) -> Answered<Value> {
    let accounts: Vec<AccountView> = desk.registry.accounts(&id)?;
    let model = desk.registry.model();
    Ok(Json(
        json!({ "party": model.party(&id)?, "accounts": accounts }),
    ))
}

/// An account and its movements.
#[utoipa::path(get, path = "/api/registry/v1/accounts/{number}", params(("number" = u64, Path)), responses((status = 200, description = "Statement"), (status = 404, body = ProblemBody)))]
pub async fn account(State(desk): Shared, Path(number): Path<u64>) -> Answered<Value> {
    let (account, lines) = desk.registry.statement(number)?;
    Ok(Json(json!({ "account": account, "movements": lines })))
}

/// All assets with where their units are.
#[utoipa::path(get, path = "/api/registry/v1/assets", responses((status = 200, description = "Balances")))]
pub async fn assets(State(desk): Shared) -> Answered<Vec<AssetBalance>> {
    Ok(Json(super::pages::balances(&desk.registry)?))
}

/// Where the units of an asset are, and its blocks.
#[utoipa::path(get, path = "/api/registry/v1/assets/{name}", params(("name" = String, Path)), responses((status = 200, description = "Balance and blocks"), (status = 404, body = ProblemBody)))]
pub async fn asset(State(desk): Shared, Path(name): Path<String>) -> Answered<Value> {
    let blocks: Vec<BlockView> = desk.registry.blocks(&name)?;
    Ok(Json(
        json!({ "balance": desk.registry.balance(&name)?, "blocks": blocks }),
    ))
}

/// All projects.
#[utoipa::path(get, path = "/api/registry/v1/projects", responses((status = 200, description = "Projects")))]
pub async fn projects(State(desk): Shared) -> Json<Value> {
    let model = desk.registry.model();
    Json(json!(model.projects().collect::<Vec<_>>()))
}

/// A project from proposal on.
#[utoipa::path(get, path = "/api/registry/v1/projects/{id}", params(("id" = String, Path)), responses((status = 200, description = "Project"), (status = 404, body = ProblemBody)))]
pub async fn project(State(desk): Shared, Path(id): Path<String>) -> Answered<Value> {
    let model = desk.registry.model();
    Ok(Json(json!(model.project(&id)?)))
}

/// A proposed transfer and where it stands.
#[utoipa::path(get, path = "/api/registry/v1/transfers/{id}", params(("id" = String, Path)), responses((status = 200, description = "Transfer"), (status = 404, body = ProblemBody)))]
pub async fn transfer(State(desk): Shared, Path(id): Path<String>) -> Answered<Value> {
    let now = desk.registry.now();
    let model = desk.registry.model();
    let t = model.transfer(&id)?;
    Ok(Json(json!({ "transfer": t, "state": t.state_at(now) })))
}

/// Public search over retirements, from the read model.
#[utoipa::path(get, path = "/api/registry/v1/retirements", params(("q" = Option<String>, Query), ("page" = Option<u32>, Query)), responses((status = 200, description = "Retirements, newest first")))]
pub async fn retirements(
    State(desk): Shared,
    Query(q): Query<HashMap<String, String>>,
) -> Answered<Value> {
    let words = q.get("q").map_or("", String::as_str);
    let page = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(0);
    let (found, total) = desk.read.retirements(words, None, page, 100).await?;
    Ok(Json(
        json!({ "total": total, "page": page, "retirements": found }),
    ))
}

/// A retirement.
#[utoipa::path(get, path = "/api/registry/v1/retirements/{id}", params(("id" = String, Path)), responses((status = 200, description = "Retirement"), (status = 404, body = ProblemBody)))]
pub async fn retirement(State(desk): Shared, Path(id): Path<String>) -> Answered<Value> {
    let model = desk.registry.model();
    Ok(Json(json!(model.retirement(&id)?)))
}

/// The certificate of a retirement as PDF, with its proof attached.
#[utoipa::path(get, path = "/api/registry/v1/retirements/{id}/certificate.pdf", params(("id" = String, Path)), responses((status = 200, description = "PDF", content_type = "application/pdf"), (status = 404, body = ProblemBody)))]
pub async fn certificate(State(desk): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let made = tokio::task::spawn_blocking(move || {
        let record = desk.registry.model().retirement(&id)?.record;
        let proof = desk.registry.proof(record)?;
        let model = desk.registry.model();
        certificate::pdf(&model, model.retirement(&id)?, &proof, &desk.base)
    })
    .await
    .map_err(|e| Error::Storage {
        what: "certificate".into(),
        reason: e.to_string(),
    })??;
    Ok(([(header::CONTENT_TYPE, "application/pdf")], made).into_response())
}

/// Units with a duty in a year.
#[utoipa::path(get, path = "/api/registry/v1/compliance/{year}", params(("year" = i16, Path)), responses((status = 200, description = "Deadline state and state now"), (status = 422, body = ProblemBody)))]
pub async fn compliance(
    State(desk): Shared,
    Path(year): Path<i16>,
) -> Answered<Vec<ComplianceRow>> {
    Ok(Json(desk.registry.compliance(year, desk.registry.now())?))
}

/// Every movement, as JSON or CSV.
#[utoipa::path(get, path = "/api/registry/v1/movements", params(("format" = Option<String>, Query, description = "json or csv")), responses((status = 200, description = "Movements")))]
pub async fn movements(
    State(desk): Shared,
    Query(q): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let rows = export::movements(&desk.registry.model());
    match q.get("format").map_or("json", String::as_str) {
        "json" => Ok(Json(rows).into_response()),
        "csv" => Ok((
            [(header::CONTENT_TYPE, "text/csv; charset=utf-8")],
            export::csv(&rows)?,
        )
            .into_response()),
        other => Err(Error::Malformed(format!("unknown format {other:?}: json or csv")).into()),
    }
}

/// Projects, issuances and units in the CAD Trust data model.
#[utoipa::path(get, path = "/api/registry/v1/cad-trust", responses((status = 200, description = "CAD Trust tables")))]
pub async fn cad_trust(State(desk): Shared) -> Answered<Value> {
    Ok(Json(export::cad_trust(&desk.registry)?))
}

/// A read-only mirror of another registry's extract.
#[utoipa::path(get, path = "/api/registry/v1/mirrors/{name}", params(("name" = String, Path)), responses((status = 200, description = "Mirror"), (status = 404, body = ProblemBody)))]
pub async fn mirror(State(desk): Shared, Path(name): Path<String>) -> Answered<Value> {
    let m = super::mirror::find(&desk, &name)?;
    Ok(Json(json!(m)))
}
