//! Pictures of articles: sent once, stored in several widths.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use miyun_store::{MediaId, Rendition};
use serde::Serialize;
use utoipa::ToSchema;

use super::table::json as answer;
use super::{Denied, named};
use crate::app::{Platform, Shared};
use crate::auth::Viewer;
use crate::picture;
use crate::policy::{Area, Op};
use crate::problem::Problem;

/// A stored picture.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PictureDocument {
    /// Its id; an article names it as `picture.media`.
    picture: String,
    /// The widths in which it is stored, widest first.
    widths: Vec<Width>,
}

/// A picture in one width.
#[derive(Debug, Serialize, ToSchema)]
struct Width {
    /// Where it is served as long as an article uses it, and a day after it was sent.
    #[schema(example = "/media/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    url: String,
    /// `image/jpeg` or `image/png`.
    content_type: String,
    /// Pixels across.
    width: u32,
    /// Pixels down.
    height: u32,
}

async fn document(p: &Platform, id: &MediaId) -> Result<PictureDocument, Problem> {
    let widths = p.store.renditions(id).await?;
    if widths.is_empty() {
        return Err(Problem::not_found("there is no such picture"));
    }
    let width = |r: &Rendition| Width {
        url: picture::url(&r.media),
        content_type: r.content_type.clone(),
        width: r.width,
        height: r.height,
    };
    Ok(PictureDocument {
        picture: id.to_string(),
        widths: widths.iter().map(width).collect(),
    })
}

/// Stores a picture for an article. PNG, JPEG or WebP of at most 8 MiB and 24 million pixels; what
/// is kept is made from the pixels alone, without place, camera or comments.
#[utoipa::path(post, operation_id = "pictures_create", path = "/api/v1/pictures", tag = "articles", request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes of the file"), security(("key" = [])),
    responses((status = 201, description = "Stored", body = PictureDocument), (status = 400, description = "The picture is damaged", body = Problem), Denied, (status = 413, description = "Too many bytes or pixels", body = Problem), (status = 415, description = "Not PNG, JPEG or WebP", body = Problem)))]
pub(super) async fn create(State(p): Shared, v: Viewer, file: Bytes) -> Result<Response, Problem> {
    let user = v.api(Op::Write, Area::Articles)?;
    let id = picture::keep(&p.store, file, user.id.as_str(), p.now()).await?;
    v.audit(&p, "picture", &format!("picture/{id}"), "").await?;
    Ok((StatusCode::CREATED, Json(document(&p, &id).await?)).into_response())
}

/// The widths in which a picture is stored.
#[utoipa::path(get, operation_id = "pictures_one", path = "/api/v1/pictures/{id}", tag = "articles", params(("id" = String, Path, example = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")),
    responses((status = 200, description = "The picture", body = PictureDocument), (status = 404, description = "No such picture", body = Problem)))]
pub(super) async fn one(
    State(p): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: MediaId = named("picture", &id)?;
    answer(&document(&p, &id).await?, &headers)
}
