//! Forms of pages: their fields, and a file if one came with them.

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::server::Params;

/// The fields of a form, and the name and bytes of the file that came with them.
pub(crate) struct Sent {
    pub fields: Params,
    pub file: Option<(String, Bytes)>,
}

/// Most fields of a form.
const FIELDS_MAX: usize = 64;

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let files = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|t| t.as_bytes().starts_with(b"multipart/form-data"));
        if !files {
            let Form(fields) = Form::<Params>::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            return Ok(Self { fields, file: None });
        }
        let mut parts = Multipart::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let (mut fields, mut file) = (Params::new(), None);
        while let Some(part) = parts
            .next_field()
            .await
            .map_err(IntoResponse::into_response)?
        {
            let name = part.name().unwrap_or("").to_owned();
            let own = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(IntoResponse::into_response)?;
            if let Some(name) = own {
                // A file field that was left alone comes as an empty file.
                file = Some((name, bytes)).filter(|f| !f.1.is_empty());
            } else if fields.len() < FIELDS_MAX {
                let text = String::from_utf8(bytes.into()).map_err(|_| {
                    (StatusCode::BAD_REQUEST, format!("{name}: not UTF-8\n")).into_response()
                })?;
                fields.insert(name, text);
            } else {
                return Err((StatusCode::BAD_REQUEST, "too many fields\n").into_response());
            }
        }
        Ok(Self { fields, file })
    }
}
