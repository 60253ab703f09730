//! Who is asking, people and their roles, the audit log.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use miyun_store::{AuditQuery, Grant, GrantId, NewPerson, Person, PersonId, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::publish::{Created, created};
use super::table::{Body, Format, Listed, Page, json as answer};
use super::{Denied, done, named};
use crate::app::{Platform, Shared};
use crate::auth::{Via, Viewer, password};
use crate::policy::{Area, Op};
use crate::problem::{Code, Problem};

/// A role that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantDocument {
    id: String,
    /// `officer`, `enterprise`, `verifier`, `exchange` or `admin`.
    role: String,
    /// What it is limited to.
    scope: String,
    valid_from: String,
    valid_until: Option<String>,
    recorded_at: String,
    superseded_at: Option<String>,
}

fn grant_document(g: &Grant) -> GrantDocument {
    GrantDocument {
        id: g.id.to_string(),
        role: g.role.to_string(),
        scope: g.scope.clone(),
        valid_from: g.valid_from.to_string(),
        valid_until: g.valid_until.map(|t| t.to_string()),
        recorded_at: g.recorded_at.to_string(),
        superseded_at: g.superseded_at.map(|t| t.to_string()),
    }
}

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    id: String,
    login: String,
    name: String,
    roles: Vec<GrantDocument>,
    /// Token for the header `x-csrf-token` of requests that change something, with a session.
    csrf: Option<String>,
    /// Scopes of the key, with a key.
    scopes: Option<Vec<String>>,
}

/// Who is asking.
#[utoipa::path(get, operation_id = "people_me", path = "/api/v1/me", tag = "people", security(("key" = [])),
    responses((status = 200, description = "The person", body = Me), (status = 401, description = "Nobody is signed in", body = Problem)))]
pub(super) async fn me(v: Viewer, headers: HeaderMap) -> Result<Response, Problem> {
    let user = v.user_api()?;
    let me = Me {
        id: user.id.to_string(),
        login: user.login.clone(),
        name: user.name.clone(),
        roles: user.grants.iter().map(grant_document).collect(),
        csrf: matches!(v.via, Via::Session(_)).then(|| v.csrf.clone()),
        scopes: match &v.via {
            Via::Key(_, s) => Some(s.clone()),
            _ => None,
        },
    };
    answer(&me, &headers)
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonDocument {
    id: String,
    login: String,
    name: String,
    email: String,
    created_at: String,
    disabled_at: Option<String>,
}

fn person_document(x: &Person) -> PersonDocument {
    PersonDocument {
        id: x.id.to_string(),
        login: x.login.clone(),
        name: x.name.clone(),
        email: x.email.clone(),
        created_at: x.created_at.to_string(),
        disabled_at: x.disabled_at.map(|t| t.to_string()),
    }
}

/// Everyone with an account, for administrators.
#[utoipa::path(get, operation_id = "people_list", path = "/api/v1/people", tag = "people", params(Page), security(("key" = [])),
    responses((status = 200, description = "People", body = Listed<PersonDocument>), (status = 400, description = "A parameter cannot be understood", body = Problem), Denied))]
pub(super) async fn list(
    State(p): Shared,
    v: Viewer,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    v.api(Op::Manage, Area::Admin)?;
    let page = page.check(Format::Json)?;
    let (total, all) = p.store.people(page.page, page.per_page).await?;
    let body = Listed {
        total,
        page: page.page,
        per_page: page.per_page,
        items: all.iter().map(person_document).collect(),
    };
    answer(&body, &headers)
}

/// A person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"login": "li.wei", "name": "李伟", "email": "", "password": "a long enough one"}))]
pub(crate) struct PersonBody {
    pub login: String,
    pub name: String,
    #[serde(default)]
    pub email: String,
    /// First password, at least 12 characters.
    pub password: String,
}

/// Adds a person without roles.
#[utoipa::path(post, operation_id = "people_create", path = "/api/v1/people", tag = "people", request_body = PersonBody, security(("key" = [])),
    responses((status = 201, description = "Added", body = Created), (status = 400, description = "Not understood", body = Problem), Denied, (status = 409, description = "The login is taken or badly formed", body = Problem)))]
pub(super) async fn create(
    State(p): Shared,
    v: Viewer,
    Body(b): Body<PersonBody>,
) -> Result<Response, Problem> {
    Ok(created(add(&p, &v, b).await?))
}

/// Adds a person if the viewer may.
pub(crate) async fn add(p: &Platform, v: &Viewer, b: PersonBody) -> Result<PersonId, Problem> {
    v.api(Op::Manage, Area::Admin)?;
    if b.name.contains('\0') || b.email.contains('\0') || b.email.len() > 300 {
        return Err(Problem::bad("name or email cannot be stored"));
    }
    let hash = tokio::task::spawn_blocking(move || password::hash(&b.password))
        .await
        .map_err(Problem::internal)?
        .map_err(|e| Problem::bad(format!("password: {e}")))?;
    let new = NewPerson {
        login: b.login,
        name: b.name,
        email: b.email,
        password: Some(hash),
    };
    let id = p.store.add_person(&new, p.now()).await?;
    v.audit(p, "person-add", &format!("person/{id}"), &new.login)
        .await?;
    Ok(id)
}

fn person(text: &str) -> Result<PersonId, Problem> {
    named("person", text)
}

/// Closes an account: sessions end, keys are revoked, deeds stay.
#[utoipa::path(delete, operation_id = "people_disable", path = "/api/v1/people/{id}", tag = "people", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Closed"), Denied, (status = 404, description = "No such person", body = Problem), (status = 409, description = "One's own account", body = Problem)))]
pub(super) async fn disable(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Manage, Area::Admin)?;
    let id = person(&text)?;
    if id == user.id {
        return Err(Problem::new(
            Code::Conflict,
            "nobody closes the account they work with",
        ));
    }
    p.store.disable_person(&id, p.now()).await?;
    done(&p, &v, "person-close", &format!("person/{id}"), "").await
}

/// Every role that a person has or had: one's own, or anybody's for administrators.
#[utoipa::path(get, operation_id = "people_grants", path = "/api/v1/people/{id}/roles", tag = "people", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 200, description = "Roles", body = Vec<GrantDocument>), Denied, (status = 404, description = "No such person", body = Problem)))]
pub(super) async fn grants(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = v.user_api()?;
    let own = text == user.id.as_str();
    if !own {
        v.api(Op::Manage, Area::Admin)?;
    }
    let id = person(&text)?;
    let all: Vec<GrantDocument> = p
        .store
        .grant_history(&id)
        .await?
        .iter()
        .map(grant_document)
        .collect();
    answer(&all, &headers)
}

/// A role to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "officer", "scope": ""}))]
pub(crate) struct GrantBody {
    /// `officer`, `enterprise`, `verifier` or `exchange`. Administrators are made by a proposal.
    pub role: String,
    /// What it is limited to; required for `enterprise` and `verifier`.
    #[serde(default)]
    pub scope: String,
    /// Since when, RFC 3339; now if not given.
    pub valid_from: Option<String>,
    /// Until when, RFC 3339.
    pub valid_until: Option<String>,
}

fn time(name: &str, t: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    t.map(|t| {
        t.parse()
            .map_err(|_| Problem::bad(format!("{name}: {t:?}: write 2026-11-23T00:00:00Z")))
    })
    .transpose()
}

/// Gives a person a role.
#[utoipa::path(post, operation_id = "people_grant", path = "/api/v1/people/{id}/roles", tag = "people", params(("id" = String, Path)), request_body = GrantBody, security(("key" = [])),
    responses((status = 201, description = "Given", body = Created), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such person", body = Problem), (status = 409, description = "A scope is missing, or a second person is needed", body = Problem)))]
pub(super) async fn grant(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    Body(b): Body<GrantBody>,
) -> Result<Response, Problem> {
    Ok(created(give(&p, &v, &text, b).await?))
}

/// Gives a role if the viewer may.
pub(crate) async fn give(
    p: &Platform,
    v: &Viewer,
    text: &str,
    b: GrantBody,
) -> Result<GrantId, Problem> {
    let user = v.api(Op::Manage, Area::Admin)?;
    let role: Role = b.role.parse().map_err(Problem::bad)?;
    if role == Role::Admin {
        return Err(Problem::new(
            Code::FourEyes,
            "an administrator is made by two: POST /api/v1/proposals with kind admin",
        ));
    }
    let id = person(text)?;
    // Nobody gives themselves what they do not have.
    if id == user.id {
        return Err(Problem::new(
            Code::FourEyes,
            "nobody gives a role to themselves",
        ));
    }
    if b.scope.len() > 200 || b.scope.chars().any(char::is_control) {
        return Err(Problem::bad(
            "scope: at most 200 bytes without control characters",
        ));
    }
    let at = p.now();
    let from = time("valid_from", b.valid_from.as_deref())?.unwrap_or(at);
    let until = time("valid_until", b.valid_until.as_deref())?;
    if until.is_some_and(|u| u <= from) {
        return Err(Problem::bad("valid_until: not after valid_from"));
    }
    let grant = p
        .store
        .grant_role(&id, role, &b.scope, (from, until), user.id.as_str(), at)
        .await?;
    let detail = format!("{role} {}", b.scope);
    v.audit(p, "role-give", &format!("person/{id}"), &detail)
        .await?;
    Ok(grant)
}

/// Takes a role back; that it was held stays on record.
#[utoipa::path(delete, operation_id = "people_revoke", path = "/api/v1/people/{id}/roles/{grant}", tag = "people", params(("id" = String, Path), ("grant" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Taken back"), Denied, (status = 404, description = "No such role in force", body = Problem)))]
pub(super) async fn revoke(
    State(p): Shared,
    v: Viewer,
    Path((text, grant)): Path<(String, String)>,
) -> Result<Response, Problem> {
    take(&p, &v, &text, &grant).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes a role back if the viewer may.
pub(crate) async fn take(p: &Platform, v: &Viewer, text: &str, grant: &str) -> Result<(), Problem> {
    let user = v.api(Op::Manage, Area::Admin)?;
    let id = person(text)?;
    let grant: GrantId = named("role in force", grant)?;
    p.store
        .revoke_role(&id, &grant, user.id.as_str(), p.now())
        .await?;
    v.audit(p, "role-take", &format!("person/{id}"), grant.as_str())
        .await?;
    Ok(())
}

/// Which entries of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Only of this actor.
    actor: Option<String>,
    /// Only this action.
    #[param(example = "sign-in")]
    action: Option<String>,
    /// Only on this object.
    object: Option<String>,
    /// Entries before this one; the newest if not given.
    #[serde(default)]
    before: u32,
    /// At most so many, up to 500.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 500)]
    limit: u32,
}

fn hundred() -> u32 {
    100
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditDocument {
    seq: u64,
    at: String,
    actor: String,
    action: String,
    object: String,
    detail: String,
    request: String,
    address: String,
    /// Digest of this entry and, through it, of all before.
    digest: String,
}

/// The audit log, newest first, for administrators.
#[utoipa::path(get, operation_id = "people_audit", path = "/api/v1/audit", tag = "people", params(AuditParams), security(("key" = [])),
    responses((status = 200, description = "Entries", body = Vec<AuditDocument>), (status = 400, description = "A parameter cannot be understood", body = Problem), Denied))]
pub(super) async fn audit(
    State(p): Shared,
    v: Viewer,
    Query(q): Query<AuditParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    v.api(Op::Manage, Area::Admin)?;
    for t in [&q.actor, &q.action, &q.object].into_iter().flatten() {
        if t.contains('\0') {
            return Err(Problem::bad("a parameter holds a NUL character"));
        }
    }
    let query = AuditQuery {
        actor: q.actor,
        action: q.action,
        object: q.object,
        before: u64::from(q.before),
        limit: q.limit,
    };
    let all: Vec<AuditDocument> = entries(&p, &query).await?;
    answer(&all, &headers)
}

async fn entries(p: &Platform, q: &AuditQuery) -> Result<Vec<AuditDocument>, Problem> {
    Ok(p.store
        .audit_entries(q)
        .await?
        .into_iter()
        .map(|e| AuditDocument {
            seq: e.seq,
            at: e.at.to_string(),
            actor: e.actor,
            action: e.action,
            object: e.object,
            detail: e.detail,
            request: e.request,
            address: e.address,
            digest: e.digest,
        })
        .collect())
}
