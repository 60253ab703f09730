//! Sign-in at another provider, against a provider of our own that can also misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use miyun_store::Role;
use miyun_web::app::Settings;
use miyun_web::auth::OidcSettings;
use openidconnect::core::{
    CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet, CoreJwsSigningAlgorithm,
    CoreRsaPrivateSigningKey,
};
use openidconnect::{
    Audience, EmptyAdditionalClaims, EndUserEmail, IssuerUrl, JsonWebKeyId, Nonce,
    PrivateSigningKey, StandardClaims, SubjectIdentifier,
};
use serde_json::json;

use crate::client::{Answer, Server, quick};

/// A key that guards nothing but this test.
const KEY: &str = include_str!("provider.pem");

/// What the provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Nonce,
    Audience,
    Issuer,
    Expired,
    Verifier,
}

struct Provider {
    issuer: String,
    fault: Mutex<Fault>,
    /// Nonce and challenge of the sign-in under way, by code.
    codes: Mutex<HashMap<String, (String, String)>>,
}

fn key() -> CoreRsaPrivateSigningKey {
    CoreRsaPrivateSigningKey::from_pem(KEY, Some(JsonWebKeyId::new("k".into()))).unwrap()
}

async fn start() -> Arc<Provider> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let p = Arc::new(Provider {
        issuer: format!("http://{}", listener.local_addr().unwrap()),
        fault: Mutex::new(Fault::None),
        codes: Mutex::default(),
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route(
            "/keys",
            get(|| async { Json(CoreJsonWebKeySet::new(vec![key().as_verification_key()])) }),
        )
        .route("/token", post(token))
        .with_state(Arc::clone(&p));
    tokio::spawn(async { axum::serve(listener, router).await });
    p
}

async fn metadata(State(p): State<Arc<Provider>>) -> impl IntoResponse {
    Json(json!({
        "issuer": p.issuer,
        "authorization_endpoint": format!("{}/authorize", p.issuer),
        "token_endpoint": format!("{}/token", p.issuer),
        "jwks_uri": format!("{}/keys", p.issuer),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn token(
    State(p): State<Arc<Provider>>,
    Form(f): Form<HashMap<String, String>>,
) -> axum::response::Response {
    let Some((nonce, challenge)) = p.codes.lock().unwrap().remove(&f["code"]) else {
        return (
            axum::http::StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        )
            .into_response();
    };
    // PKCE: the verifier must be the one whose digest was sent before.
    let verifier = openidconnect::PkceCodeVerifier::new(f["code_verifier"].clone());
    let sent = openidconnect::PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let fault = *p.fault.lock().unwrap();
    if sent.as_str() != challenge || fault == Fault::Verifier {
        return (
            axum::http::StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        )
            .into_response();
    }
    let now = Timestamp::now().as_second();
    let time = |s: i64| {
        serde_json::from_value(json!(jiff::Timestamp::from_second(s).unwrap().to_string())).unwrap()
    };
    let (issuer, audience) = match fault {
        Fault::Issuer => ("http://evil.example".to_owned(), "miyun"),
        Fault::Audience => (p.issuer.clone(), "somebody-else"),
        _ => (p.issuer.clone(), "miyun"),
    };
    let expires = if fault == Fault::Expired {
        now - 3_600
    } else {
        now + 300
    };
    let claims = CoreIdTokenClaims::new(
        IssuerUrl::new(issuer).unwrap(),
        vec![Audience::new(audience.into())],
        time(expires),
        time(now),
        StandardClaims::new(SubjectIdentifier::new("subject-1".into()))
            .set_email(Some(EndUserEmail::new("li@example.org".into()))),
        EmptyAdditionalClaims {},
    )
    .set_nonce(Some(Nonce::new(if fault == Fault::Nonce {
        "other".into()
    } else {
        nonce
    })));
    let id_token = CoreIdToken::new(
        claims,
        &key(),
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        None,
        None,
    )
    .unwrap();
    Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token.to_string()}))
        .into_response()
}

async fn server(p: &Provider, create_people: bool) -> Server {
    Server::with(Settings {
        oidc: Some(OidcSettings {
            issuer: p.issuer.clone(),
            client_id: "miyun".into(),
            client_secret: "secret".into(),
            public_url: "http://127.0.0.1:1".into(),
            label: "Sign in with the bureau".into(),
            create_people,
        }),
        ..quick()
    })
    .await
}

fn parameter(url: &str, name: &str) -> String {
    url.split(['?', '&'])
        .find_map(|p| p.strip_prefix(&format!("{name}=")))
        .unwrap_or_default()
        .to_owned()
}

/// Goes to the provider as a browser does and comes back with a code.
async fn go(s: &Server, p: &Provider, code: &str) -> (String, String) {
    let away = s.get("/auth/oidc/start?back=/zh/about").await;
    assert_eq!(away.status, 303, "{}", away.text());
    let url = away.header("location").unwrap().to_owned();
    assert!(
        url.starts_with(&format!("{}/authorize?", p.issuer)),
        "{url}"
    );
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    let known = (parameter(&url, "nonce"), parameter(&url, "code_challenge"));
    p.codes.lock().unwrap().insert(code.into(), known);
    (away.cookie("miyun_oidc").unwrap(), parameter(&url, "state"))
}

async fn back(s: &Server, cookie: &str, state: &str, code: &str) -> Answer {
    let path = format!("/auth/oidc/callback?code={code}&state={state}");
    s.send(
        "GET",
        &path,
        &[("cookie", &format!("miyun_oidc={cookie}"))],
        b"",
    )
    .await
}

#[tokio::test]
async fn who_the_provider_knows_signs_in() {
    let p = start().await;
    let s = server(&p, false).await;
    let li = s.person("li", Some(Role::Officer), "").await;
    assert!(
        s.get("/en/sign-in")
            .await
            .text()
            .contains("Sign in with the bureau")
    );
    // Nobody linked yet: refused, and in the audit log.
    let (cookie, state) = go(&s, &p, "c1").await;
    assert_eq!(back(&s, &cookie, &state, "c1").await.status, 403);
    s.store
        .link_identity(&li, &p.issuer, "subject-1", Timestamp::now())
        .await
        .unwrap();
    let (cookie, state) = go(&s, &p, "c2").await;
    let r = back(&s, &cookie, &state, "c2").await;
    assert_eq!(
        (r.status, r.header("location")),
        (303, Some("/zh/about")),
        "{}",
        r.text()
    );
    let session = format!("miyun_session={}", r.cookie("miyun_session").unwrap());
    let me = s
        .send("GET", "/api/v1/me", &[("cookie", &session)], b"")
        .await;
    assert_eq!(me.json()["login"], "li");
    // The same answer again: too late.
    assert_eq!(back(&s, &cookie, &state, "c2").await.status, 403);
}

#[tokio::test]
async fn an_account_is_made_only_if_that_is_wanted() {
    let p = start().await;
    let s = server(&p, true).await;
    // Somebody has that address already: the new account is another one, without roles.
    s.person("li@example.org", Some(Role::Admin), "").await;
    let (cookie, state) = go(&s, &p, "c1").await;
    let r = back(&s, &cookie, &state, "c1").await;
    assert_eq!(r.status, 303, "{}", r.text());
    let session = format!("miyun_session={}", r.cookie("miyun_session").unwrap());
    let me = s
        .send("GET", "/api/v1/me", &[("cookie", &session)], b"")
        .await
        .json();
    assert!(
        me["login"].as_str().unwrap().starts_with("oidc-")
            && me["roles"].as_array().unwrap().is_empty(),
        "{me}"
    );
    assert_eq!(s.store.people(1, 10).await.unwrap().0, 2);
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_refuses_it() {
    let p = start().await;
    let s = server(&p, true).await;
    for fault in [
        Fault::Nonce,
        Fault::Audience,
        Fault::Issuer,
        Fault::Expired,
        Fault::Verifier,
    ] {
        *p.fault.lock().unwrap() = fault;
        let (cookie, state) = go(&s, &p, "c").await;
        let r = back(&s, &cookie, &state, "c").await;
        assert_eq!(
            (r.status, r.cookie("miyun_session")),
            (403, None),
            "{fault:?}"
        );
    }
    *p.fault.lock().unwrap() = Fault::None;
    // Another browser, no browser, another state, a code that the provider never gave.
    let (cookie, state) = go(&s, &p, "c").await;
    assert_eq!(back(&s, "other", &state, "c").await.status, 403);
    assert_eq!(
        s.get(&format!("/auth/oidc/callback?code=c&state={state}"))
            .await
            .status,
        403
    );
    assert_eq!(back(&s, &cookie, "other", "c").await.status, 403);
    assert_eq!(back(&s, "", "", "c").await.status, 403);
    assert_eq!(back(&s, &cookie, &state, "unknown").await.status, 403);
    assert_eq!(s.store.people(1, 10).await.unwrap().0, 0);
}
