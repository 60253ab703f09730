//! The layers that every request passes: rate limits, who it is, whether a form is ours.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::viewer::{User, Via, Viewer};
use crate::app::{Client, Platform, RequestId, Settings, Shared};
use crate::policy::{Area, Op};
use crate::problem::Code;
use crate::shell::Reader;

/// Rates by address and by account.
pub(crate) struct Limits {
    api: DefaultKeyedRateLimiter<String>,
    writes: DefaultKeyedRateLimiter<String>,
    sign_ins: DefaultKeyedRateLimiter<String>,
}

fn per_minute(n: u32) -> Quota {
    let n = NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(n)
}

impl Limits {
    pub fn new(s: &Settings) -> Self {
        Self {
            api: DefaultKeyedRateLimiter::dashmap(per_minute(s.api_requests_per_minute)),
            writes: DefaultKeyedRateLimiter::dashmap(per_minute(s.api_requests_per_minute / 2)),
            sign_ins: DefaultKeyedRateLimiter::dashmap(per_minute(s.sign_ins_per_minute)),
        }
    }

    /// True if one more attempt to sign in is allowed: from that address and to that account.
    pub fn sign_in(&self, address: &str, login: &str) -> bool {
        let login: String = login.trim().to_lowercase().chars().take(100).collect();
        let address = self.sign_ins.check_key(&format!("from {address}")).is_ok();
        let account = self.sign_ins.check_key(&format!("to {login}")).is_ok();
        address && account
    }

    /// Forgets keys that have rested, so that the tables do not grow with every address.
    pub fn sweep(&self) {
        for l in [&self.api, &self.writes, &self.sign_ins] {
            l.retain_recent();
            l.shrink_to_fit();
        }
    }
}

/// What one household or office has in common: an IPv4 address, or a /64 of IPv6.
pub(crate) fn neighbourhood(address: IpAddr) -> String {
    match address {
        IpAddr::V4(a) => a.to_string(),
        IpAddr::V6(a) => match a.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let s = a.segments();
                format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3])
            }
        },
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn client(request: &Request) -> IpAddr {
    request
        .extensions()
        .get::<Client>()
        .map_or(IpAddr::from([127, 0, 0, 1]), |c| c.0)
}

fn viewer(request: &Request) -> Viewer {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    Viewer {
        address: client(request).to_string(),
        request: request
            .extensions()
            .get::<RequestId>()
            .map(|r| r.0.clone())
            .unwrap_or_default(),
        api: path.starts_with("/api/"),
        path,
        ..Viewer::default()
    }
}

/// Refuses clients that ask too often.
pub async fn limit(State(p): Shared, request: Request, next: Next) -> Response {
    let key = neighbourhood(client(&request));
    let asks_api = request.uri().path().starts_with("/api/");
    let ok = (!asks_api || p.limits.api.check_key(&key).is_ok())
        && (is_safe(request.method()) || p.limits.writes.check_key(&key).is_ok());
    if ok {
        return next.run(request).await;
    }
    let mut r = viewer(&request)
        .refuse(
            Code::TooMany,
            "too many requests from your address; wait a minute",
        )
        .into_response();
    r.headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    r
}

/// Name of the session cookie.
pub(crate) fn cookie_name(s: &Settings) -> &'static str {
    if s.https {
        "__Host-miyun_session"
    } else {
        "miyun_session"
    }
}

/// Value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Digest under which a session or key is stored.
pub(crate) fn session_digest(secret: &str) -> String {
    blake3::derive_key("miyun 2026 stored digest of a secret", secret.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Token that forms of a session carry.
pub(crate) fn csrf_token(secret: &str) -> String {
    blake3::derive_key("miyun 2026 csrf token", secret.as_bytes())[..16]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A new secret of 32 random bytes, as hex.
pub(crate) fn new_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn same(a: &str, b: &str) -> bool {
    // Comparing digests takes the same time whatever the texts are.
    !a.is_empty() && blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes())
}

/// False if a browser says that another site made this request.
fn from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, o)| o.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// A form must have arrived by then.
const FORM_WITHIN: Duration = Duration::from_secs(20);
/// Largest form in bytes: an article with its picture.
pub(crate) const FORM_LEN_MAX: usize = 9 << 20;

/// Finds out who asks; refuses forms that are not ours.
pub async fn who(State(p): Shared, mut request: Request, next: Next) -> Response {
    let at = p.now();
    let mut v = viewer(&request);
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|h| h.to_str().ok())
        .map(str::to_owned);
    if let Some(bearer) = bearer {
        let Some(secret) = bearer.strip_prefix("Bearer ").map(str::trim) else {
            return v
                .refuse(
                    Code::NotSignedIn,
                    "send an API key as: Authorization: Bearer …",
                )
                .into_response();
        };
        match p.store.key_owner(&session_digest(secret), at).await {
            Ok(Some(o)) => {
                v.via = Via::Key(o.key.id, o.key.scopes);
                v.user = Some(User {
                    id: o.person.id,
                    login: o.person.login,
                    name: o.person.name,
                    grants: o.grants,
                });
            }
            // A key that is not in force never turns into a visitor.
            Ok(None) => {
                return v
                    .refuse(Code::NotSignedIn, "this API key is not in force")
                    .into_response();
            }
            Err(e) => return broken(&v, &e),
        }
    } else if let Some(secret) = cookie(request.headers(), cookie_name(&p.settings)) {
        let idle = Duration::from_secs(u64::from(p.settings.session_idle_minutes) * 60);
        let (digest, csrf) = (session_digest(secret), csrf_token(secret));
        match p.store.session(&digest, idle, at).await {
            Ok(Some(s)) => {
                v.via = Via::Session(digest);
                v.csrf = csrf;
                v.user = Some(User {
                    id: s.person.id,
                    login: s.person.login,
                    name: s.person.name,
                    grants: s.grants,
                });
            }
            Ok(None) => {}
            Err(e) => return broken(&v, &e),
        }
    }
    if !is_safe(request.method()) && !matches!(v.via, Via::Key(..)) {
        if !from_here(request.headers()) {
            return v
                .refuse(Code::CrossSite, "another site sent this request")
                .into_response();
        }
        if matches!(v.via, Via::Session(_)) {
            request = match with_token(request, &v.csrf).await {
                Ok(r) => r,
                Err(code) => {
                    return v
                        .refuse(
                            code,
                            "the form token is missing or old: open the page again",
                        )
                        .into_response();
                }
            };
        }
    }
    if let Some(u) = &v.user {
        request.extensions_mut().insert(Reader {
            id: u.id.to_string(),
            name: u.name.clone(),
            writes: v.may(Op::Write, Area::Articles),
            approves: v.may(Op::Decide, Area::Articles),
            keeps: v.may(Op::Manage, Area::Admin),
            csrf: v.csrf.clone(),
        });
    }
    let signed_in = v.user.is_some();
    request.extensions_mut().insert(v);
    let mut response = next.run(request).await;
    if signed_in {
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("private, no-store"));
    }
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Cookie"));
    response
}

fn broken(v: &Viewer, e: &miyun_store::StoreError) -> Response {
    tracing::error!(error = %e, "the records do not answer");
    v.refuse(Code::Internal, "the records do not answer")
        .into_response()
}

/// The request again if it carries the token, in a header or as a field of its form.
async fn with_token(request: Request, token: &str) -> Result<Request, Code> {
    if let Some(h) = request.headers().get("x-csrf-token") {
        let ok = h.to_str().is_ok_and(|h| same(h, token));
        return if ok {
            Ok(request)
        } else {
            Err(Code::CrossSite)
        };
    }
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
        .to_ascii_lowercase();
    let (form, files) = (
        kind.starts_with("application/x-www-form-urlencoded"),
        kind.starts_with("multipart/form-data"),
    );
    if !form && !files {
        return Err(Code::CrossSite);
    }
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, FORM_LEN_MAX);
    let bytes = match tokio::time::timeout(FORM_WITHIN, read).await {
        Ok(Ok(b)) => b,
        Ok(Err(_)) => return Err(Code::TooLarge),
        Err(_) => return Err(Code::Timeout),
    };
    let ok = if form {
        bytes
            .split(|b| *b == b'&')
            .filter_map(|pair| pair.strip_prefix(b"csrf="))
            .any(|v| std::str::from_utf8(v).is_ok_and(|v| same(v, token)))
    } else {
        // The token is random and of this session: whoever can write this field knew it.
        let field = format!("name=\"csrf\"\r\n\r\n{token}\r\n");
        bytes.windows(field.len()).any(|w| w == field.as_bytes())
    };
    if ok {
        Ok(Request::from_parts(parts, Body::from(bytes)))
    } else {
        Err(Code::CrossSite)
    }
}

/// Keeps the platform's small tables small; runs as long as the program.
pub(crate) async fn sweep(p: std::sync::Arc<Platform>) {
    let mut every = tokio::time::interval(Duration::from_secs(300));
    loop {
        every.tick().await;
        p.limits.sweep();
        if let Err(e) = p.store.sweep_sessions(p.now()).await {
            tracing::warn!(error = %e, "old sessions were not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut h = HeaderMap::new();
        h.insert(
            header::COOKIE,
            HeaderValue::from_static(
                "xmiyun_session=a; miyun_session_x=b; miyun_session=c; miyun_session=d",
            ),
        );
        assert_eq!(cookie(&h, "miyun_session"), Some("c"));
        assert_eq!(cookie(&h, "session"), None);
    }

    #[test]
    fn other_sites_are_told_apart() {
        let check = |pairs: &[(&'static str, &'static str)]| {
            let mut h = HeaderMap::new();
            for (k, v) in pairs {
                h.insert(*k, HeaderValue::from_static(v));
            }
            from_here(&h)
        };
        assert!(check(&[("host", "m.example")]));
        assert!(check(&[
            ("host", "m.example"),
            ("origin", "https://m.example")
        ]));
        assert!(!check(&[
            ("host", "m.example"),
            ("origin", "https://evil.example")
        ]));
        assert!(!check(&[
            ("host", "m.example"),
            ("origin", "https://m.example.evil.example")
        ]));
        assert!(!check(&[("host", "m.example"), ("origin", "null")]));
        assert!(!check(&[
            ("host", "m.example"),
            ("sec-fetch-site", "cross-site")
        ]));
        assert!(!check(&[
            ("host", "m.example"),
            ("sec-fetch-site", "same-site")
        ]));
    }

    #[test]
    fn neighbours_share_a_limit() {
        let n = |t: &str| neighbourhood(t.parse().unwrap());
        assert_eq!(n("2001:db8:1:2:3::1"), n("2001:db8:1:2:ffff::9"));
        assert_ne!(n("2001:db8:1:2::1"), n("2001:db8:1:3::1"));
        assert_eq!(n("::ffff:192.0.2.1"), n("192.0.2.1"));
    }
}
