//! Who is asking, as handlers see it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use miyun_core::text::Lang;
use miyun_store::{Deed, Grant, KeyId, PersonId, Role};

use crate::app::Platform;
use crate::failure::Failure;
use crate::policy::{Area, Op, may};
use crate::problem::{Code, Problem};
use crate::shell::{View, encode};

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: PersonId,
    /// Name to sign in with.
    pub login: String,
    /// Name to be shown.
    pub name: String,
    /// Roles that hold now.
    pub grants: Vec<Grant>,
}

/// How a person is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Via {
    /// Not at all.
    #[default]
    Nobody,
    /// By a session; the digest of its secret.
    Session(String),
    /// By an API key and its scopes.
    Key(KeyId, Vec<String>),
}

/// Who is asking.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// Who is signed in.
    pub user: Option<User>,
    /// How.
    pub via: Via,
    /// Token that every form carries as `csrf`.
    pub csrf: String,
    /// Address of the client.
    pub address: String,
    /// Id of the request.
    pub request: String,
    /// True if the API is asked, false if a page.
    pub api: bool,
    /// Path and query, to come back after signing in.
    pub path: String,
}

/// Why a request is refused.
#[derive(Debug)]
pub struct Refused(Box<Response>);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Viewer {
    /// True if this is allowed; see the table of `policy`.
    #[must_use]
    pub fn may(&self, op: Op, area: Area) -> bool {
        self.may_of(op, area, None)
    }

    /// The same for something that belongs to `owner`.
    #[must_use]
    pub fn may_of(&self, op: Op, area: Area, owner: Option<&str>) -> bool {
        let scoped = match &self.via {
            Via::Key(_, scopes) => op
                .key_scope()
                .is_some_and(|s| scopes.iter().any(|x| x == s)),
            _ => true,
        };
        let grants = self.user.as_ref().map_or(&[][..], |u| &u.grants);
        scoped && may(grants, op, area, owner)
    }

    /// The highest role, `None` for a visitor or a reader without one.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.user.as_ref()?.grants.iter().map(|g| g.role).max()
    }

    /// The person who may do this.
    ///
    /// # Errors
    /// [`Refused`]: a page sends to the sign-in or says no, the API answers problem+json.
    pub fn require(&self, op: Op, area: Area) -> Result<&User, Refused> {
        let user = self.signed_in()?;
        if self.may(op, area) {
            Ok(user)
        } else {
            Err(self.refuse(Code::Forbidden, &format!("{op:?} in {area:?} is not yours")))
        }
    }

    /// The person who may do this, for handlers of the API.
    ///
    /// # Errors
    /// [`Problem`] `not-signed-in` or `forbidden`.
    pub fn api(&self, op: Op, area: Area) -> Result<&User, Problem> {
        self.api_of(op, area, None)
    }

    /// The same for something that belongs to `owner`.
    ///
    /// # Errors
    /// [`Problem`] as [`Viewer::api`].
    pub fn api_of(&self, op: Op, area: Area, owner: Option<&str>) -> Result<&User, Problem> {
        let user = self.user_api()?;
        if self.may_of(op, area, owner) {
            Ok(user)
        } else {
            Err(Problem::new(
                Code::Forbidden,
                format!("{op:?} in {area:?} is not yours, or not within the scopes of this key"),
            ))
        }
    }

    /// The person who is signed in, for handlers of the API.
    ///
    /// # Errors
    /// [`Problem`] `not-signed-in`.
    pub fn user_api(&self) -> Result<&User, Problem> {
        self.user
            .as_ref()
            .ok_or_else(|| Problem::new(Code::NotSignedIn, "sign in, or send an API key"))
    }

    /// Nothing if this is allowed, to visitors too.
    ///
    /// # Errors
    /// [`Refused`] as [`Viewer::require`].
    pub fn allow(&self, op: Op, area: Area) -> Result<(), Refused> {
        if self.may(op, area) {
            Ok(())
        } else {
            self.require(op, area).map(|_| ())
        }
    }

    /// The person who is signed in.
    ///
    /// # Errors
    /// [`Refused`] if nobody is.
    pub fn signed_in(&self) -> Result<&User, Refused> {
        self.user
            .as_ref()
            .ok_or_else(|| self.refuse(Code::NotSignedIn, "sign in, or send an API key"))
    }

    /// A refusal in the form that fits who asks.
    #[must_use]
    pub fn refuse(&self, code: Code, detail: &str) -> Refused {
        let lang = if self.path.starts_with("/zh") {
            Lang::Zh
        } else {
            Lang::En
        };
        let response = if self.api {
            Problem::new(code, detail).into_response()
        } else if code == Code::NotSignedIn {
            let prefix = crate::shell::prefix(lang);
            Redirect::to(&format!("{prefix}/sign-in?back={}", encode(&self.path))).into_response()
        } else {
            let failure = match code {
                Code::TooMany => Failure::TooMany(detail.to_owned()),
                Code::BadRequest | Code::TooLarge => Failure::Bad(detail.to_owned()),
                Code::NotFound => Failure::NotFound(detail.to_owned()),
                Code::Internal => Failure::Broken(detail.to_owned()),
                _ => Failure::Forbidden(detail.to_owned()),
            };
            failure.page(&View::plain(lang, "/"))
        };
        Refused(Box::new(response))
    }

    /// The refusal if the records do not answer; the reason goes to the log.
    #[must_use]
    pub fn broken(&self, reason: &dyn std::fmt::Display) -> Refused {
        tracing::error!(%reason, "the records do not answer");
        self.refuse(Code::Internal, "the records do not answer")
    }

    /// Who does something, for the audit log.
    #[must_use]
    pub fn actor(&self) -> String {
        match (&self.via, &self.user) {
            (Via::Key(id, _), Some(u)) => format!("{} by key {id}", u.id),
            (_, Some(u)) => u.id.to_string(),
            _ => "visitor".into(),
        }
    }

    /// Writes into the audit log what was done.
    ///
    /// # Errors
    /// [`Problem`] if it could not be written.
    pub async fn audit(
        &self,
        p: &Platform,
        action: &str,
        object: &str,
        detail: &str,
    ) -> Result<(), Problem> {
        let deed = Deed {
            actor: &self.actor(),
            action,
            object,
            detail,
            request: &self.request,
            address: &self.address,
        };
        p.store.audit(&deed, p.now()).await?;
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
