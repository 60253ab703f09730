//! Pages of signing in and out, and of one's own account.

use std::time::Duration;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use maud::html;
use miyun_store::{Deed, NewSession, Person};
use serde::Deserialize;

use super::guard::{cookie, cookie_name, csrf_token, new_secret, same, session_digest};
use super::password::{self, PASSWORD_LEN_MIN};
use super::viewer::{Refused, Via, Viewer};
use crate::api::keys::{self, KeyBody};
use crate::app::{Platform, Shared};
use crate::policy::KEY_SCOPES;
use crate::problem::Code;
use crate::server::Params;
use crate::shell::{View, encode, page};
use crate::words::word;

/// Cookie of a browser that looks at the sign-in form; its token guards the form.
const FORM_COOKIE: &str = "miyun_form";

/// Where to go after signing in: a path of this site, or the overview.
pub(super) fn back(text: &str) -> &str {
    let ours = (text.starts_with("/zh/") || text.starts_with("/en/"))
        && !text.contains("//")
        && !text.contains('\\')
        && text.len() <= 2_000
        && text.bytes().all(|c| c.is_ascii_graphic());
    if ours { text } else { "/" }
}

#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

/// The sign-in form.
pub(super) async fn form(
    State(p): Shared,
    view: View,
    headers: HeaderMap,
    Query(q): Query<Back>,
) -> Response {
    let known = cookie(&headers, FORM_COOKIE).filter(|c| c.len() == 64);
    let secret = known.map_or_else(new_secret, str::to_owned);
    let mut r = show_form(&p, &view, &secret, back(&q.back), "", None);
    if known.is_none() {
        set_cookie(&mut r, &p, FORM_COOKIE, &secret, None);
    }
    r
}

fn show_form(
    p: &Platform,
    view: &View,
    secret: &str,
    back: &str,
    login: &str,
    wrong: Option<&str>,
) -> Response {
    let body = html! {
        h1 { (view.tr("登录", "Sign in")) }
        @if let Some(w) = wrong { p.note role="alert" id="wrong" { (w) } }
        form method="post" action=(view.link("/sign-in")) {
            input type="hidden" name="csrf" value=(csrf_token(secret));
            input type="hidden" name="back" value=(back);
            p { label { (view.tr("用户名", "Name")) br;
                input name="login" value=(login) autocomplete="username" required autofocus[login.is_empty()] aria-describedby=[wrong.map(|_| "wrong")]; } }
            p { label { (view.tr("密码", "Password")) br;
                input type="password" name="password" autocomplete="current-password" required autofocus[!login.is_empty()]; } }
            p { button { (view.tr("登录", "Sign in")) } }
        }
        @if let Some(o) = &p.oidc {
            p { a href={ "/auth/oidc/start?back=" (encode(back)) } { (o.settings.label) } }
        }
        p.soft { (view.tr("阅读本站不需要登录。", "Reading this site needs no sign-in.")) }
    };
    let text = page(view, view.tr("登录", "Sign in"), false, body).into_string();
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Html(text)).into_response()
}

fn set_cookie(r: &mut Response, p: &Platform, name: &str, value: &str, seconds: Option<u64>) {
    let secure = if p.settings.https { "; Secure" } else { "" };
    let age = seconds.map_or(String::new(), |s| format!("; Max-Age={s}"));
    let text = format!("{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(v) = HeaderValue::from_str(&text) {
        r.headers_mut().append(header::SET_COOKIE, v);
    }
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    back: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
}

/// Signs in.
pub(super) async fn sign_in(
    State(p): Shared,
    view: View,
    v: Viewer,
    headers: HeaderMap,
    Form(f): Form<SignInForm>,
) -> Response {
    // A form of another site would sign the reader in as somebody else.
    let secret = cookie(&headers, FORM_COOKIE).unwrap_or("").to_owned();
    let signed_in = matches!(v.via, Via::Session(_));
    if !signed_in && (secret.is_empty() || !same(&f.csrf, &csrf_token(&secret))) {
        return v
            .refuse(
                Code::CrossSite,
                "open the sign-in page again: this form is old or not ours",
            )
            .into_response();
    }
    let to = back(&f.back);
    if !p.limits.sign_in(&v.address, &f.login) {
        p.metrics.sign_in("too-many");
        let words = view.tr(
            "尝试过多，请一分钟后再试。",
            "Too many attempts; wait a minute.",
        );
        let mut r = show_form(&p, &view, &secret, to, &f.login, Some(words));
        *r.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return r;
    }
    let person = match p.store.person_by_login(&f.login).await {
        Ok(found) => found.filter(|x| x.disabled_at.is_none()),
        Err(e) => {
            tracing::error!(error = %e, "the records do not answer");
            return v
                .refuse(Code::Internal, "the records do not answer")
                .into_response();
        }
    };
    let hash = person.as_ref().and_then(|x| x.password.clone());
    let given = f.password;
    let fits = tokio::task::spawn_blocking(move || password::verify(&given, hash.as_deref()))
        .await
        .unwrap_or(false);
    match person.filter(|_| fits) {
        Some(person) => {
            p.metrics.sign_in("password");
            begin_session(&p, &v, &headers, &person, to).await
        }
        None => {
            p.metrics.sign_in("wrong");
            let object: String = f.login.chars().take(100).collect();
            let deed = Deed {
                actor: "visitor",
                action: "sign-in-refused",
                object: &object,
                detail: "",
                request: &v.request,
                address: &v.address,
            };
            if let Err(e) = p.store.audit(&deed, p.now()).await {
                tracing::error!(error = %e, "the audit log could not be written");
            }
            let words = view.tr("用户名或密码不对。", "Name or password is wrong.");
            show_form(&p, &view, &secret, to, &f.login, Some(words))
        }
    }
}

/// Begins a session under a new secret, whatever cookie the browser brought, and ends the old one.
pub(super) async fn begin_session(
    p: &Platform,
    v: &Viewer,
    headers: &HeaderMap,
    person: &Person,
    to: &str,
) -> Response {
    let at = p.now();
    let broken = |e: &dyn std::fmt::Display| {
        tracing::error!(error = %e, "a session could not begin");
        v.refuse(Code::Internal, "the records do not answer")
            .into_response()
    };
    if let Some(old) = cookie(headers, cookie_name(&p.settings))
        && let Err(e) = p.store.end_session(&session_digest(old), at).await
    {
        return broken(&e);
    }
    let secret = new_secret();
    let seconds = u64::from(p.settings.session_hours.max(1)) * 3_600;
    let new = NewSession {
        digest: &session_digest(&secret),
        person: &person.id,
        expires_at: later(at, seconds),
        address: &v.address,
        agent: headers
            .get(header::USER_AGENT)
            .and_then(|a| a.to_str().ok())
            .unwrap_or(""),
    };
    if let Err(e) = p.store.begin_session(new, at).await {
        return broken(&e);
    }
    let actor = person.id.to_string();
    let deed = Deed {
        actor: &actor,
        action: "sign-in",
        object: "session",
        detail: "",
        request: &v.request,
        address: &v.address,
    };
    if let Err(e) = p.store.audit(&deed, at).await {
        return broken(&e);
    }
    let mut r = Redirect::to(to).into_response();
    set_cookie(&mut r, p, cookie_name(&p.settings), &secret, Some(seconds));
    set_cookie(&mut r, p, FORM_COOKIE, "", Some(0));
    r
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    let span = SignedDuration::try_from(Duration::from_secs(seconds)).unwrap_or_default();
    at.checked_add(span).unwrap_or(at)
}

/// Signs out.
pub(super) async fn sign_out(State(p): Shared, Path(lang): Path<String>, v: Viewer) -> Response {
    if let Via::Session(digest) = &v.via {
        if let Err(e) = p.store.end_session(digest, p.now()).await {
            tracing::error!(error = %e, "a session could not end");
            return v
                .refuse(Code::Internal, "the records do not answer")
                .into_response();
        }
        if v.audit(&p, "sign-out", "session", "").await.is_err() {
            return v
                .refuse(Code::Internal, "the records do not answer")
                .into_response();
        }
    }
    let mut r = Redirect::to(if lang == "zh" { "/zh/" } else { "/en/" }).into_response();
    set_cookie(&mut r, &p, cookie_name(&p.settings), "", Some(0));
    r
}

/// One's own account.
pub(super) async fn account(State(p): Shared, view: View, v: Viewer) -> Result<Response, Refused> {
    let user = v.signed_in()?;
    Ok(show_account(&p, &view, &v, user.id.clone(), None).await)
}

async fn show_account(
    p: &Platform,
    view: &View,
    v: &Viewer,
    id: miyun_store::PersonId,
    said: Option<(bool, String)>,
) -> Response {
    let (person, grants, keys) = match tokio::try_join!(
        p.store.person(&id),
        p.store.grants(&id, p.now(), p.now()),
        p.store.keys(&id)
    ) {
        Ok((Some(person), grants, keys)) => (person, grants, keys),
        Ok(_) => {
            return v
                .refuse(Code::NotFound, "this account is not there")
                .into_response();
        }
        Err(e) => {
            tracing::error!(error = %e, "the records do not answer");
            return v
                .refuse(Code::Internal, "the records do not answer")
                .into_response();
        }
    };
    let status = match &said {
        Some((false, _)) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let body = html! {
        h1 { (person.name) }
        @if let Some((_, words)) = &said { p.note role="alert" { (words) } }
        dl {
            dt { (view.tr("用户名", "Login")) } dd { (person.login) }
            dt { (view.tr("角色", "Roles")) }
            dd { @if grants.is_empty() { (view.tr("读者", "reader")) } @for g in &grants { (word(view.lang, g.role.as_str())) @if !g.scope.is_empty() { " (" (g.scope) ")" } " " } }
        }
        form method="post" action=(view.link("/sign-out")) { input type="hidden" name="csrf" value=(v.csrf); button { (view.tr("退出登录", "Sign out")) } }
        @if person.password.is_some() {
            h2 { (view.tr("更改密码", "Change the password")) }
            form method="post" action=(view.link("/account/password")) {
                input type="hidden" name="csrf" value=(v.csrf);
                input type="hidden" name="username" value=(person.login) autocomplete="username";
                p { label { (view.tr("现在的密码", "Password now")) br; input type="password" name="old" autocomplete="current-password" required; } }
                p { label { (view.tr("新密码", "New password")) " " span.soft { (match view.lang {
                    miyun_core::text::Lang::Zh => format!("至少 {PASSWORD_LEN_MIN} 个字符"),
                    miyun_core::text::Lang::En => format!("at least {PASSWORD_LEN_MIN} characters"),
                }) } br; input type="password" name="new" autocomplete="new-password" required minlength=(PASSWORD_LEN_MIN); } }
                p { button { (view.tr("更改", "Change")) } }
            }
        }
        h2 { (view.tr("API 密钥", "API keys")) }
        form.inline method="post" action=(view.link("/account/keys")) {
            input type="hidden" name="csrf" value=(v.csrf);
            label { (view.tr("用途", "For")) " " input name="name" maxlength="100" required; } " "
            @for s in KEY_SCOPES { label { input type="checkbox" name=(s) value="1" checked[s == "read"]; " " (word(view.lang, s)) } " " }
            label { (view.tr("有效天数", "Days")) " " input type="number" name="days" min="1" max="366" value="90" required; } " "
            button { (view.tr("生成密钥", "Make a key")) }
        }
        @if !keys.is_empty() { div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("用途", "For")) } th scope="col" { (view.tr("范围", "Scopes")) } th scope="col" { (view.tr("到期", "Ends")) } th scope="col" { (view.tr("状态", "State")) } } }
            tbody { @for k in &keys { tr { th scope="row" { (k.name) } td { @for s in &k.scopes { (word(view.lang, s)) " " } } td { (k.expires_at.strftime("%Y-%m-%d").to_string()) } td { @if k.revoked_at.is_some() { (view.tr("已撤销", "revoked")) } @else {
                (view.tr("有效", "in force")) " "
                form.inline method="post" action=(view.link("/account/keys")) { input type="hidden" name="csrf" value=(v.csrf); button name="revoke" value=(k.id) aria-label=(format!("{} {}", view.tr("撤销", "Revoke"), k.name)) { (view.tr("撤销", "Revoke")) } }
            } } } } }
        } } }
    };
    let text = page(view, &person.name, false, body).into_string();
    (
        status,
        [(header::CACHE_CONTROL, "private, no-store")],
        Html(text),
    )
        .into_response()
}

/// Makes an API key, which is shown this once, or revokes one.
pub(super) async fn keys(
    State(p): Shared,
    view: View,
    v: Viewer,
    Form(f): Form<Params>,
) -> Result<Response, Refused> {
    let user = v.signed_in()?;
    let done = match f.get("revoke") {
        Some(id) => keys::revoke(&p, &v, id)
            .await
            .map(|()| view.tr("密钥已撤销。", "The key was revoked.").to_owned()),
        None => {
            let scopes = KEY_SCOPES.into_iter().filter(|s| f.contains_key(*s));
            let body = KeyBody {
                name: f.get("name").cloned().unwrap_or_default(),
                scopes: scopes.map(str::to_owned).collect(),
                days: f.get("days").and_then(|d| d.parse().ok()).unwrap_or(0),
            };
            let words = view.tr("新密钥，只显示这一次：", "The new key, shown this once: ");
            keys::make(&p, &v, &body)
                .await
                .map(|k| format!("{words}{}", k.secret))
        }
    };
    let said = match done {
        Ok(words) => (true, words),
        Err(problem) => (false, problem.detail),
    };
    Ok(show_account(&p, &view, &v, user.id.clone(), Some(said)).await)
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
}

/// Changes one's password; every session ends, this one begins anew.
pub(super) async fn change_password(
    State(p): Shared,
    view: View,
    v: Viewer,
    headers: HeaderMap,
    Form(f): Form<PasswordForm>,
) -> Result<Response, Refused> {
    let user = v.signed_in()?.clone();
    if !matches!(v.via, Via::Session(_)) || !p.limits.sign_in(&v.address, &user.login) {
        return Err(v.refuse(Code::TooMany, "too many attempts; wait a minute"));
    }
    let broken = |e: &dyn std::fmt::Display| {
        tracing::error!(error = %e, "a password could not be changed");
        v.refuse(Code::Internal, "the records do not answer")
    };
    let person = p
        .store
        .person(&user.id)
        .await
        .map_err(|e| broken(&e))?
        .ok_or_else(|| v.refuse(Code::NotFound, "this account is not there"))?;
    let hash = person.password.clone();
    let (old, new) = (f.old, f.new);
    let done = tokio::task::spawn_blocking(move || {
        password::verify(&old, hash.as_deref()).then(|| password::hash(&new))
    })
    .await
    .map_err(|e| broken(&e))?;
    match done {
        None => {
            let words = view
                .tr("现在的密码不对。", "The password now is wrong.")
                .to_owned();
            Ok(show_account(&p, &view, &v, user.id, Some((false, words))).await)
        }
        Some(Err(e)) => {
            Ok(show_account(&p, &view, &v, user.id, Some((false, e.to_string()))).await)
        }
        Some(Ok(hash)) => {
            p.store
                .set_password(&user.id, &hash, p.now())
                .await
                .map_err(|e| broken(&e))?;
            v.audit(&p, "password-change", &format!("person/{}", user.id), "")
                .await
                .map_err(|e| broken(&e.detail))?;
            Ok(begin_session(&p, &v, &headers, &person, &view.link("/account")).await)
        }
    }
}
