//! Refusals as problem+json (RFC 9457) with the registry's stable codes, and as pages.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use miyun_registry::Error;
use serde::Serialize;

use crate::shell::{View, page};

/// The body of a refusal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// `urn:miyun:registry:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, for programs.
    pub code: String,
    /// In words, for people.
    pub detail: String,
}

/// A refusal on its way out.
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        Self(e)
    }
}

/// The HTTP status of a refusal.
pub(super) fn status(e: &Error) -> StatusCode {
    match e {
        Error::Malformed(_) => StatusCode::BAD_REQUEST,
        Error::WrongSigner(_) => StatusCode::UNAUTHORIZED,
        Error::Role { .. } | Error::SamePerson(_) | Error::Frozen(_) => StatusCode::FORBIDDEN,
        Error::Unknown { .. } => StatusCode::NOT_FOUND,
        Error::IdReused(_)
        | Error::Exists { .. }
        | Error::TransferState { .. }
        | Error::Insufficient { .. } => StatusCode::CONFLICT,
        e if e.is_refusal() => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(&self.0);
        let detail = if status.is_server_error() {
            tracing::error!("registry: {}", self.0);
            "the registry could not do this; nothing is known to have changed".to_owned()
        } else {
            self.0.to_string()
        };
        let body = ProblemBody {
            kind: format!("urn:miyun:registry:{}", self.0.code()),
            title: status.canonical_reason().unwrap_or("error").into(),
            status: status.as_u16(),
            code: self.0.code().into(),
            detail,
        };
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            serde_json::to_string(&body).unwrap_or_default(),
        )
            .into_response()
    }
}

/// A page that could not be shown.
pub struct PageProblem(pub Box<View>, pub Error);

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        let Self(view, e) = self;
        let status = status(&e);
        let body = html! {
            h1 { (status.as_u16()) " " (status.canonical_reason().unwrap_or("")) }
            p { @if status.is_server_error() { (view.tr("登记系统未能完成。", "The registry could not do this.")) } @else { (e) } }
            p { code { (e.code()) } " · " a href=(view.link("/registry")) { (view.tr("登记首页", "Registry")) } }
        };
        (
            status,
            Html(page(&view, e.code(), false, body).into_string()),
        )
            .into_response()
    }
}
