//! Errors of the API: problem+json (RFC 9457) with stable codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use miyun_assess::AssessError;
use miyun_lake::LakeError;
use miyun_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Failure;

/// What went wrong, for programs: the code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A parameter or body cannot be understood.
    BadRequest,
    /// Nobody is signed in.
    NotSignedIn,
    /// Who is signed in may not do this.
    Forbidden,
    /// The form did not come from a page of this site.
    CrossSite,
    /// There is no such thing.
    NotFound,
    /// The method does not exist here.
    MethodNotAllowed,
    /// The present state does not allow it.
    Conflict,
    /// A second person must decide.
    FourEyes,
    /// It was there and was withdrawn.
    Gone,
    /// The body is too large.
    TooLarge,
    /// The type of the body is not read here.
    UnsupportedType,
    /// Too many requests.
    TooMany,
    /// It took too long.
    Timeout,
    /// Something broke here.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::FourEyes => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be understood",
            Self::NotSignedIn => "Nobody is signed in",
            Self::Forbidden => "This is not allowed to you",
            Self::CrossSite => "The request did not come from a page of this site",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "This method does not exist here",
            Self::Conflict => "The present state does not allow it",
            Self::FourEyes => "A second person must decide",
            Self::Gone => "It was withdrawn",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedType => "This type of body is not read here",
            Self::TooMany => "Too many requests",
            Self::Timeout => "It took too long",
            Self::Internal => "Something broke here",
        }
    }
}

/// A problem as the API says it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code tells problems apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The code in words.
    #[schema(example = "There is no such thing")]
    pub title: &'static str,
    /// HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What tells problems apart.
    pub code: Code,
    /// What happened, and what to do.
    #[schema(example = "there is no plan \"x\"")]
    pub detail: String,
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: code.title(),
            status: code.status().as_u16(),
            code,
            detail: detail.into(),
        }
    }

    /// A parameter that cannot be understood.
    #[must_use]
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// Something that broke: the reason goes to the log, not to the client.
    #[must_use]
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "request failed");
        Self::new(
            Code::Internal,
            "the reason is in the server's log under the request id of this answer",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        match &e {
            StoreError::NotFound { .. } => Self::not_found(e.to_string()),
            StoreError::FourEyes(_) => Self::new(Code::FourEyes, e.to_string()),
            StoreError::Conflict(_) => Self::new(Code::Conflict, e.to_string()),
            StoreError::Content(_) => Self::bad(e.to_string()),
            _ if e.is_duplicate() => Self::new(Code::Conflict, "this exists already"),
            _ => Self::internal(e),
        }
    }
}

impl From<LakeError> for Problem {
    fn from(e: LakeError) -> Self {
        match &e {
            LakeError::Read(_) => Self::bad(e.to_string()),
            LakeError::Locked(_) => Self::new(Code::Conflict, "another import is running"),
            LakeError::Redeclared { .. } => Self::new(Code::Conflict, e.to_string()),
            _ => Self::internal(e),
        }
    }
}

impl From<AssessError> for Problem {
    fn from(e: AssessError) -> Self {
        match e {
            AssessError::Lake(l) => l.into(),
            other => Self::not_found(other.to_string()),
        }
    }
}

impl From<Failure> for Problem {
    fn from(f: Failure) -> Self {
        match f {
            Failure::NotFound(t) => Self::not_found(t),
            Failure::Bad(t) => Self::bad(t),
            Failure::Forbidden(t) => Self::new(Code::Forbidden, t),
            Failure::Gone(t) => Self::new(Code::Gone, t),
            Failure::TooMany(t) => Self::new(Code::TooMany, t),
            Failure::Broken(t) => Self::internal(t),
        }
    }
}
