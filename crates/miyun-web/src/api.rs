//! The API under `/api/v1`: what pages show as JSON, CSV and Parquet, and what people and programs
//! may change. The OpenAPI document is made from these handlers.

mod air;
mod articles;
pub(crate) mod describe;
pub(crate) mod keys;
mod map;
pub(crate) mod people;
mod pictures;
pub(crate) mod publish;
mod read;
mod rules;
mod table;
pub(crate) use table::{Cell, Rows, Sheet, SheetQuery, Table};
pub(crate) mod work;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Platform;
use crate::auth::Viewer;
use crate::problem::Problem;

/// Largest body of a request to the API that is no upload.
const BODY_LEN_MAX: usize = 2 << 20;
/// Longest silence within an upload.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Longest upload.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);

/// Answers of every operation that not everybody may ask for, in the document.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code)]
enum Denied {
    /// Nobody is signed in
    #[response(status = 401)]
    NotSignedIn(Problem),
    /// Not allowed
    #[response(status = 403)]
    NotAllowed(Problem),
}

/// What an id of a path names; `what` says it in the answer if it can be none.
fn named<T: std::str::FromStr>(what: &str, id: &str) -> Result<T, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found(format!("there is no such {what}")))
}

/// Words that somebody gives with a decision, as they are kept.
fn said(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(2_000).collect()
}

/// The end of a change that answers nothing: it goes into the audit log.
async fn done(
    p: &Platform,
    v: &Viewer,
    action: &str,
    object: &str,
    detail: &str,
) -> Result<Response, Problem> {
    v.audit(p, action, object, detail).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Miyun",
        description = "A city's environmental plan: every figure answers why. Errors are problem+json (RFC 9457) with a stable `code`. Lists are paged with `page` and `per_page`, tables come as JSON, CSV or Parquet (`format`). Reading what is published needs no key.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Security),
    tags(
        (name = "data", description = "Places, observations, daily values, annual items"),
        (name = "plan", description = "Plans and where they stand"),
        (name = "figures", description = "Single figures with their reasons, and what was published when"),
        (name = "rules", description = "The law as data"),
        (name = "articles", description = "Articles, their versions and clauses"),
        (name = "devices", description = "Loggers and outlets, where a gateway runs"),
        (name = "jobs", description = "Long work"),
        (name = "people", description = "Who is asking, keys, roles, the audit log")
    )
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, made under one's account"))
            .build();
        openapi
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

fn build() -> (Router<Arc<Platform>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(read::places))
        .routes(routes!(read::search))
        .routes(routes!(read::imports))
        .routes(routes!(air::air_items))
        .routes(routes!(air::air_days))
        .routes(routes!(air::air_hours))
        .routes(routes!(air::air_ledger))
        .routes(routes!(map::stations))
        .routes(routes!(map::outlets))
        .routes(routes!(map::layers))
        .routes(routes!(map::layer))
        .routes(routes!(read::plans))
        .routes(routes!(read::plan_status))
        .routes(routes!(read::plan_measures))
        .routes(routes!(publish::figure))
        .routes(routes!(publish::published))
        .routes(routes!(publish::published_history))
        .routes(routes!(publish::propose, publish::proposals))
        .routes(routes!(publish::decide))
        .routes(routes!(rules::instruments))
        .routes(routes!(rules::instrument))
        .routes(routes!(rules::editions))
        .routes(routes!(articles::list, articles::create))
        .routes(routes!(articles::one))
        .routes(routes!(articles::versions))
        .routes(routes!(pictures::one))
        .routes(routes!(articles::save))
        .routes(routes!(articles::propose))
        .routes(routes!(articles::decide))
        .routes(routes!(articles::withdraw))
        .routes(routes!(articles::like, articles::unlike))
        .routes(routes!(articles::collections, articles::create_collection))
        .routes(routes!(articles::delete_collection))
        .routes(routes!(articles::collect, articles::uncollect))
        .routes(routes!(work::list, work::start))
        .routes(routes!(work::one, work::cancel))
        .routes(routes!(people::me))
        .routes(routes!(keys::keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(people::list, people::create))
        .routes(routes!(people::disable))
        .routes(routes!(people::grants, people::grant))
        .routes(routes!(people::revoke))
        .routes(routes!(people::audit))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(pictures::create))
                .layer(DefaultBodyLimit::max(crate::picture::FILE_LEN_MAX)),
        )
        .split_for_parts()
}

/// The OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = build().1;
    work::describe_upload(&mut api);
    api.merge(crate::devices::Document::openapi());
    describe::describe(&mut api, &describe::PLATFORM);
    api
}

/// The document as text.
#[must_use]
pub fn openapi_json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| openapi().to_pretty_json().unwrap_or_default())
}

async fn document() -> Response {
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "public, max-age=300"),
        ],
        openapi_json(),
    )
        .into_response()
}

/// Routes of the API, uploads apart.
pub(crate) fn routes() -> Router<Arc<Platform>> {
    build().0.route("/api/v1/openapi.json", get(document))
}

/// The upload, whose body may be larger than any other.
pub(crate) fn upload_routes(p: Arc<Platform>) -> Router {
    let most = (p.settings.upload_mib_max.max(1) as usize) << 20;
    Router::new()
        .route("/api/v1/uploads", post(work::upload))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(most))
        // A sender that falls silent is cut off, and none may take for ever.
        .layer(RequestBodyTimeoutLayer::new(SILENCE_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            UPLOAD_WITHIN,
        ))
        .with_state(p)
}
