//! Who is asking, and what keeps others from asking in their name: sessions, keys, passwords,
//! sign-in elsewhere, cross-site checks, rate limits.

mod admin;
mod guard;
mod oidc;
mod pages;
pub mod password;
mod review;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::Platform;

pub use guard::{limit, who};
pub use oidc::OidcSettings;
pub use viewer::{Refused, User, Via, Viewer};

pub(crate) use guard::{FORM_LEN_MAX, Limits, session_digest, sweep};
pub(crate) use oidc::Oidc;

/// Routes of signing in and out and of one's account.
pub(crate) fn routes() -> Router<Arc<Platform>> {
    Router::new()
        .route("/{lang}/sign-in", get(pages::form).post(pages::sign_in))
        .route("/{lang}/sign-out", post(pages::sign_out))
        .route("/{lang}/account", get(pages::account))
        .route("/{lang}/account/keys", post(pages::keys))
        .route("/{lang}/account/password", post(pages::change_password))
        .route("/{lang}/proposals", get(review::list).post(review::propose))
        .route("/{lang}/proposals/{id}", post(review::decide))
        .route("/{lang}/admin", get(admin::page_of_all))
        .route("/{lang}/admin/people", post(admin::add))
        .route("/{lang}/admin/roles", post(admin::roles))
        .route("/auth/oidc/start", get(oidc::start))
        .route("/auth/oidc/callback", get(oidc::callback))
}
