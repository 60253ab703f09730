//! API keys of one's own.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use miyun_store::{KeyId, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::named;
use super::table::{Body, json as answer};
use crate::app::{Platform, Shared};
use crate::auth::{Via, Viewer, session_digest};
use crate::policy::KEY_SCOPES;
use crate::problem::{Code, Problem};

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyDocument {
    id: String,
    name: String,
    scopes: Vec<String>,
    created_at: String,
    expires_at: String,
    revoked_at: Option<String>,
}

/// One's own API keys.
#[utoipa::path(get, operation_id = "keys_keys", path = "/api/v1/keys", tag = "people", security(("key" = [])),
    responses((status = 200, description = "Keys", body = Vec<KeyDocument>), (status = 401, description = "Nobody is signed in", body = Problem)))]
pub(super) async fn keys(
    State(p): Shared,
    v: Viewer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = v.user_api()?;
    let all: Vec<KeyDocument> = p
        .store
        .keys(&user.id)
        .await?
        .iter()
        .map(|k| KeyDocument {
            id: k.id.to_string(),
            name: k.name.clone(),
            scopes: k.scopes.clone(),
            created_at: k.created_at.to_string(),
            expires_at: k.expires_at.to_string(),
            revoked_at: k.revoked_at.map(|t| t.to_string()),
        })
        .collect();
    answer(&all, &headers)
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "nightly export", "scopes": ["read"], "days": 90}))]
pub(crate) struct KeyBody {
    /// What it is for.
    pub name: String,
    /// `read`, `write`, `manage`: never more than its owner may.
    pub scopes: Vec<String>,
    /// Days until it ends, at most 366.
    #[schema(minimum = 1, maximum = 366)]
    pub days: u32,
}

/// A new key. The secret is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKeyDocument {
    id: String,
    /// Send it as `Authorization: Bearer …`.
    pub secret: String,
    expires_at: String,
}

const KEYS_MAX: usize = 50;

/// Makes a key for oneself. A key cannot make keys.
#[utoipa::path(post, operation_id = "keys_create_key", path = "/api/v1/keys", tag = "people", request_body = KeyBody,
    responses((status = 201, description = "Made", body = NewKeyDocument), (status = 400, description = "Not understood", body = Problem), (status = 401, description = "Nobody is signed in", body = Problem), (status = 403, description = "A key cannot make keys", body = Problem), (status = 409, description = "Too many keys", body = Problem)))]
pub(super) async fn create_key(
    State(p): Shared,
    v: Viewer,
    Body(b): Body<KeyBody>,
) -> Result<Response, Problem> {
    let made = make(&p, &v, &b).await?;
    let head = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, head, Json(made)).into_response())
}

/// Makes a key for the viewer.
pub(crate) async fn make(p: &Platform, v: &Viewer, b: &KeyBody) -> Result<NewKeyDocument, Problem> {
    let user = v.user_api()?;
    if !matches!(v.via, Via::Session(_)) {
        return Err(Problem::new(
            Code::Forbidden,
            "a key cannot make keys: sign in",
        ));
    }
    let name: String = b
        .name
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    if name.is_empty() || b.scopes.is_empty() || !(1..=366).contains(&b.days) {
        return Err(Problem::bad(
            "a key needs a name, at least one scope, and 1 to 366 days",
        ));
    }
    if let Some(s) = b.scopes.iter().find(|s| !KEY_SCOPES.contains(&s.as_str())) {
        return Err(Problem::bad(format!(
            "scopes: {s:?}: read, write or manage"
        )));
    }
    if p.store
        .keys(&user.id)
        .await?
        .iter()
        .filter(|k| k.revoked_at.is_none())
        .count()
        >= KEYS_MAX
    {
        return Err(Problem::new(
            Code::Conflict,
            format!("at most {KEYS_MAX} keys in force"),
        ));
    }
    let bytes: [u8; 32] = rand::random();
    let secret: String = std::iter::once("miyun_".to_owned())
        .chain(bytes.iter().map(|b| format!("{b:02x}")))
        .collect();
    let at = p.now();
    let expires_at = at
        .checked_add(SignedDuration::from_hours(24 * i64::from(b.days)))
        .map_err(Problem::internal)?;
    let new = NewKey {
        person: &user.id,
        name: &name,
        digest: &session_digest(&secret),
        scopes: &b.scopes,
        expires_at,
    };
    let id = p.store.add_key(new, at).await?;
    v.audit(p, "key-create", &format!("key/{id}"), &b.scopes.join(" "))
        .await?;
    Ok(NewKeyDocument {
        id: id.to_string(),
        secret,
        expires_at: expires_at.to_string(),
    })
}

/// Revokes a key of one's own.
#[utoipa::path(delete, operation_id = "keys_revoke_key", path = "/api/v1/keys/{id}", tag = "people", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Revoked"), (status = 401, description = "Nobody is signed in", body = Problem), (status = 404, description = "No such key of yours", body = Problem)))]
pub(super) async fn revoke_key(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    revoke(&p, &v, &text).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Revokes a key of the viewer.
pub(crate) async fn revoke(p: &Platform, v: &Viewer, id: &str) -> Result<(), Problem> {
    let user = v.user_api()?;
    let id: KeyId = named("key of yours", id)?;
    p.store.revoke_key(&user.id, &id, p.now()).await?;
    v.audit(p, "key-revoke", &format!("key/{id}"), "").await
}
