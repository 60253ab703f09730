//! Sign-in at another provider: OpenID Connect, code flow with PKCE, state, nonce.

use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use miyun_core::text::Lang;
use miyun_store::{Deed, NewPerson, Person, SignIn};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::reqwest;
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use serde::Deserialize;
use tokio::sync::RwLock;

use super::guard::{cookie, session_digest};
use super::pages::{back, begin_session};
use super::viewer::Viewer;
use crate::app::{Platform, Shared};
use crate::failure::Failure;
use crate::shell::View;

/// A provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// Its issuer URL.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there; empty for a public client.
    #[serde(default)]
    pub client_secret: String,
    /// Where this site is reached, for the way back: `https://miyun.example`.
    pub public_url: String,
    /// What the button says.
    pub label: String,
    /// True makes an account without roles for whoever the provider knows; false lets in only
    /// people whom an administrator linked.
    #[serde(default)]
    pub create_people: bool,
}

/// The provider with what it says of itself.
pub(crate) struct Oidc {
    pub settings: OidcSettings,
    known: RwLock<Option<(Instant, CoreProviderMetadata)>>,
}

/// What the provider says of itself is asked for again after so long (keys rotate).
const FRESH: Duration = Duration::from_secs(3_600);
/// The provider must answer by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Whoever was sent to the provider must be back by then.
const BACK_WITHIN: Duration = Duration::from_secs(600);
const COOKIE: &str = "miyun_oidc";

fn http() -> Result<reqwest::Client, String> {
    reqwest::ClientBuilder::new()
        // A provider that redirects could make us ask inside the network.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        .build()
        .map_err(|e| e.to_string())
}

impl Oidc {
    pub fn new(settings: OidcSettings) -> Self {
        Self {
            settings,
            known: RwLock::new(None),
        }
    }

    async fn metadata(&self) -> Result<CoreProviderMetadata, String> {
        if let Some((when, m)) = &*self.known.read().await
            && when.elapsed() < FRESH
        {
            return Ok(m.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|e| e.to_string())?;
        let fresh = CoreProviderMetadata::discover_async(issuer, &http()?)
            .await
            .map_err(|e| format!("{}: {e}", self.settings.issuer))?;
        *self.known.write().await = Some((Instant::now(), fresh.clone()));
        Ok(fresh)
    }

    fn redirect(&self) -> Result<RedirectUrl, String> {
        let base = self.settings.public_url.trim_end_matches('/');
        RedirectUrl::new(format!("{base}/auth/oidc/callback")).map_err(|e| e.to_string())
    }

    fn secret(&self) -> Option<ClientSecret> {
        let s = &self.settings.client_secret;
        (!s.is_empty()).then(|| ClientSecret::new(s.clone()))
    }
}

fn failed(lang: Lang, reason: &str) -> Response {
    tracing::warn!(%reason, "sign-in at the provider failed");
    Failure::Forbidden("the sign-in did not succeed; try again, or ask who runs this site".into())
        .page(&View::plain(lang, "/"))
}

fn lang_of(path: &str) -> Lang {
    if path.starts_with("/zh") {
        Lang::Zh
    } else {
        Lang::En
    }
}

#[derive(Deserialize)]
pub(super) struct Start {
    #[serde(default)]
    back: String,
}

/// Sends the browser to the provider.
pub(super) async fn start(State(p): Shared, v: Viewer, Query(q): Query<Start>) -> Response {
    let back = back(&q.back).to_owned();
    let lang = lang_of(&back);
    let Some(oidc) = &p.oidc else {
        return Failure::NotFound("no provider is set up here".into()).into_response();
    };
    if !p.limits.sign_in(&v.address, "provider") {
        return Failure::TooMany("too many attempts; wait a minute".into()).into_response();
    }
    match begin(&p, oidc, back).await {
        Ok((url, state)) => {
            let mut r = Redirect::to(&url).into_response();
            set_cookie(&mut r, &p, &state, BACK_WITHIN.as_secs());
            r
        }
        Err(e) => failed(lang, &e),
    }
}

async fn begin(p: &Platform, oidc: &Oidc, back: String) -> Result<(String, String), String> {
    let client = CoreClient::from_provider_metadata(
        oidc.metadata().await?,
        ClientId::new(oidc.settings.client_id.clone()),
        oidc.secret(),
    )
    .set_redirect_uri(oidc.redirect()?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("profile".into()))
        .add_scope(Scope::new("email".into()))
        .set_pkce_challenge(challenge)
        .url();
    let sign_in = SignIn {
        state: session_digest(state.secret()),
        nonce: nonce.secret().clone(),
        verifier: verifier.secret().clone(),
        back,
        expires_at: p.now() + BACK_WITHIN,
    };
    p.store
        .begin_sign_in(&sign_in)
        .await
        .map_err(|e| e.to_string())?;
    Ok((url.to_string(), state.secret().clone()))
}

fn set_cookie(r: &mut Response, p: &Platform, value: &str, seconds: u64) {
    let secure = if p.settings.https { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={value}; Path=/auth/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    );
    if let Ok(v) = HeaderValue::from_str(&text) {
        r.headers_mut().append(header::SET_COOKIE, v);
    }
}

#[derive(Deserialize)]
pub(super) struct Callback {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

/// Takes the browser back from the provider.
pub(super) async fn callback(
    State(p): Shared,
    v: Viewer,
    headers: HeaderMap,
    Query(q): Query<Callback>,
) -> Response {
    let Some(oidc) = &p.oidc else {
        return Failure::NotFound("no provider is set up here".into()).into_response();
    };
    // The same browser must come back that was sent away.
    let ours = cookie(&headers, COOKIE).is_some_and(|c| super::guard::same(c, &q.state));
    if !ours || !q.error.is_empty() {
        p.metrics.sign_in("provider-refused");
        return failed(
            Lang::En,
            &format!("state of this browser: {ours}, error {:?}", q.error),
        );
    }
    let sign_in = match p
        .store
        .take_sign_in(&session_digest(&q.state), p.now())
        .await
    {
        Ok(Some(s)) => s,
        Ok(None) => return failed(Lang::En, "this sign-in came back twice or too late"),
        Err(e) => return failed(Lang::En, &e.to_string()),
    };
    let lang = lang_of(&sign_in.back);
    match finish(&p, oidc, &sign_in, q.code).await {
        Ok(person) if person.disabled_at.is_none() => {
            p.metrics.sign_in("provider");
            let mut r = begin_session(&p, &v, &headers, &person, &sign_in.back).await;
            set_cookie(&mut r, &p, "", 0);
            r
        }
        Ok(_) => failed(lang, "the account is closed"),
        Err(e) => {
            p.metrics.sign_in("provider-refused");
            let deed = Deed {
                actor: "visitor",
                action: "sign-in-refused",
                object: "provider",
                detail: &e,
                request: &v.request,
                address: &v.address,
            };
            if let Err(e) = p.store.audit(&deed, p.now()).await {
                tracing::error!(error = %e, "the audit log could not be written");
            }
            failed(lang, &e)
        }
    }
}

async fn finish(
    p: &Platform,
    oidc: &Oidc,
    sign_in: &SignIn,
    code: String,
) -> Result<Person, String> {
    let client = CoreClient::from_provider_metadata(
        oidc.metadata().await?,
        ClientId::new(oidc.settings.client_id.clone()),
        oidc.secret(),
    )
    .set_redirect_uri(oidc.redirect()?);
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|e| e.to_string())?
        .set_pkce_verifier(PkceCodeVerifier::new(sign_in.verifier.clone()))
        .request_async(&http()?)
        .await
        .map_err(|e| format!("code exchange: {e}"))?;
    let id_token = tokens.id_token().ok_or("the provider sent no id token")?;
    // Signature, issuer, audience, time and nonce are checked here.
    let claims = id_token
        .claims(
            &client.id_token_verifier(),
            &Nonce::new(sign_in.nonce.clone()),
        )
        .map_err(|e| format!("id token: {e}"))?;
    let (issuer, subject) = (claims.issuer().as_str(), claims.subject().as_str());
    let store = &p.store;
    let known = store
        .person_by_identity(issuer, subject)
        .await
        .map_err(|e| e.to_string())?;
    if let Some(person) = known {
        return Ok(person);
    }
    if !oidc.settings.create_people {
        return Err(format!("nobody here is {subject:?} of {issuer}"));
    }
    // Never the account of somebody who happens to have that address: a new one, without roles.
    let digest = session_digest(&format!("{issuer}\n{subject}"));
    let new = NewPerson {
        login: format!("oidc-{}", &digest[..16]),
        name: claims
            .name()
            .and_then(|n| n.get(None))
            .map(|n| n.as_str().to_owned())
            .unwrap_or_default(),
        email: claims
            .email()
            .map(|e| e.as_str().to_owned())
            .unwrap_or_default(),
        password: None,
    };
    let at = p.now();
    let id = store
        .add_person(&new, at)
        .await
        .map_err(|e| e.to_string())?;
    store
        .link_identity(&id, issuer, subject, at)
        .await
        .map_err(|e| e.to_string())?;
    store
        .person(&id)
        .await
        .map_err(|e| e.to_string())?
        .ok_or_else(|| "the new account is not there".into())
}
