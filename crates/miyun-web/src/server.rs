//! The HTTP door of the pages: routes, headers, how a request becomes a view.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::Markup;
use miyun_core::text::Lang;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::failure::Failure;
use crate::pack::{Pages, keep};
use crate::pages;
use crate::shell::{Address, Reader, View, page};
pub use crate::site::Site;

/// Parameters of a page.
pub(crate) type Params = std::collections::HashMap<String, String>;

/// Longest that a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a page may load: its own style, script and pictures, nothing from elsewhere.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// No address of this site goes to another. To this site it goes: a browser that sends no referrer
/// at all says `Origin: null` with a form, and the form could not be told from a foreign one.
pub const REFERRER: &str = "same-origin";

/// The routes of a site.
pub fn router(site: Arc<Site>) -> Router {
    router_with(site, Router::new())
}

/// The routes of a site together with others (API, sign-in, jobs), under the same headers.
pub fn router_with(site: Arc<Site>, extra: Router) -> Router {
    let set = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    Router::new()
        .route("/", get(start))
        .route("/settings", get(settings))
        .route("/static/{name}", get(crate::assets::file))
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(pages::routes())
        .fallback(missing)
        .layer(axum::middleware::from_fn_with_state(
            Pages::new(Arc::clone(&site)),
            keep,
        ))
        .with_state(site)
        .merge(extra)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIMEOUT,
        ))
        .layer(set("content-security-policy", POLICY))
        .layer(set("x-content-type-options", "nosniff"))
        .layer(set("referrer-policy", REFERRER))
}

/// What a page answers with.
pub(crate) struct Shown {
    /// Title.
    pub title: String,
    /// True puts the warning of simulated data on top.
    pub simulated: bool,
    /// The inside.
    pub body: Markup,
}

impl Shown {
    pub(crate) fn new(title: impl Into<String>, simulated: bool, body: Markup) -> Self {
        Self {
            title: title.into(),
            simulated,
            body,
        }
    }
}

/// Makes a page away from the threads that answer, in the reader's language also where it fails.
pub(crate) async fn shown(
    view: View,
    make: impl FnOnce(&View) -> Result<Shown, Failure> + Send + 'static,
) -> Response {
    let for_failure = view.clone();
    let span = tracing::Span::current();
    let made = tokio::task::spawn_blocking(move || {
        let _within = span.entered();
        make(&view).map(|s| page(&view, &s.title, s.simulated, s.body).into_string())
    })
    .await
    .unwrap_or_else(|e| Err(Failure::Broken(e.to_string())));
    match made {
        Ok(text) => Html(text).into_response(),
        Err(f) => f.page(&for_failure),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for View {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let path = parts.uri.path();
        let lang = match path.get(..3) {
            Some("/zh") => Lang::Zh,
            Some("/en") => Lang::En,
            _ => {
                return Err(Failure::NotFound(
                    "there is no such language; use /zh/ or /en/".into(),
                )
                .into_response());
            }
        };
        let mut view = view(
            lang,
            parts.uri.path_and_query().map_or("/", |p| p.as_str()),
            &parts.headers,
        );
        view.reader = parts.extensions.get::<Reader>().cloned();
        match known(parts.uri.query()) {
            Ok(k) => view.known = k,
            Err(why) => return Err(Failure::Bad(why).page(&view)),
        }
        Ok(view)
    }
}

/// The moment of knowledge that a query asks for: RFC 3339 UTC, `None` for all that is known.
fn known(query: Option<&str>) -> Result<crate::site::Known, String> {
    let text = query.and_then(|q| {
        q.split('&')
            .find_map(|p| p.strip_prefix("known="))
            .filter(|k| !k.is_empty())
    });
    text.map(|k| {
        moment(k).ok_or_else(|| {
            format!("known={k}: write a day (2026-11-23) or a moment (2026-11-23T08:00:00Z)")
        })
    })
    .transpose()
}

/// The moment of knowledge, for handlers that answer programs.
pub(crate) struct AsKnown(pub crate::site::Known);

impl<S: Send + Sync> FromRequestParts<S> for AsKnown {
    type Rejection = crate::problem::Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        known(parts.uri.query())
            .map(Self)
            .map_err(crate::problem::Problem::bad)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    /// What the outer door found, else the peer, else nobody in particular.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
            .map(|c| Self(c.0.ip()));
        let outer = parts
            .extensions
            .get::<crate::app::Client>()
            .map(|c| Self(c.0));
        let found = parts.extensions.get::<Self>().copied().or(outer).or(peer);
        Ok(found.unwrap_or(Self(std::net::Ipv4Addr::UNSPECIFIED.into())))
    }
}

/// A moment from a query: a day means its end in UTC.
fn moment(text: &str) -> Option<String> {
    let text = text.replace("%3A", ":").replace("%3a", ":");
    if let Ok(d) = text.parse::<miyun_core::Date>()
        && text.len() == 10
    {
        return Some(format!("{d}T23:59:59Z"));
    }
    text.parse::<jiff::Timestamp>().ok().map(|t| t.to_string())
}

fn view(lang: Lang, path: &str, headers: &HeaderMap) -> View {
    let text = |name: header::HeaderName| {
        headers
            .get(name)
            .and_then(|c| c.to_str().ok())
            .unwrap_or("")
    };
    let cookies = text(header::COOKIE);
    let has = |pair: &str| cookies.split(';').any(|c| c.trim() == pair);
    let mut view = View::plain(lang, path.get(3..).filter(|p| !p.is_empty()).unwrap_or("/"));
    view.theme = if has("theme=dark") {
        "dark"
    } else if has("theme=light") {
        "light"
    } else {
        ""
    };
    view.colours = if has("colours=cividis") {
        "cividis"
    } else {
        ""
    };
    view.size = if has("size=large") { "large" } else { "" };
    let host = text(header::HOST);
    let good = !host.is_empty()
        && host.len() < 256
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let https = text(HeaderName::from_static("x-forwarded-proto")) == "https";
    if good {
        view.origin = format!("{}://{host}", if https { "https" } else { "http" });
    }
    view
}

async fn missing(uri: axum::http::Uri, headers: HeaderMap) -> Response {
    if matches!(uri.path(), "/zh" | "/en") {
        return Redirect::permanent(&format!("{}/", uri.path())).into_response();
    }
    let lang = if uri.path().starts_with("/zh") {
        Lang::Zh
    } else {
        Lang::En
    };
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let inside = path.starts_with("/zh/") || path.starts_with("/en/");
    Failure::NotFound("There is no page at this address.".into()).page(&view(
        lang,
        if inside { path } else { "/en/" },
        &headers,
    ))
}

async fn start(headers: HeaderMap) -> Redirect {
    let zh = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|l| l.to_str().ok())
        .is_some_and(|l| l.trim_start().to_ascii_lowercase().starts_with("zh"));
    Redirect::to(if zh { "/zh/" } else { "/en/" })
}

/// Sets a reading preference and goes back; only known words and paths of this site are taken.
async fn settings(Query(q): Query<Params>) -> Response {
    const KNOWN: [(&str, &[&str]); 3] = [
        ("theme", &["light", "dark"]),
        ("colours", &["cividis", "standard"]),
        ("size", &["large", "normal"]),
    ];
    let back = q
        .get("back")
        .filter(|b| {
            (b.starts_with("/zh/") || b.starts_with("/en/"))
                && !b.contains("//")
                && !b.contains('\\')
                && b.bytes().all(|c| c.is_ascii_graphic())
        })
        .map_or("/", String::as_str);
    let mut response = Redirect::to(back).into_response();
    for (key, values) in KNOWN {
        if let Some(v) = q.get(key).filter(|v| values.contains(&v.as_str()))
            && let Ok(cookie) = HeaderValue::from_str(&format!(
                "{key}={v}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"
            ))
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_knowledge_means_its_end() {
        assert_eq!(
            moment("2026-11-23").as_deref(),
            Some("2026-11-23T23:59:59Z")
        );
        assert_eq!(
            moment("2026-11-23T08%3A00%3A00Z").as_deref(),
            Some("2026-11-23T08:00:00Z")
        );
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn a_strange_host_makes_no_link() {
        let mut h = HeaderMap::new();
        h.insert(header::HOST, HeaderValue::from_static("a\"onload=x"));
        assert_eq!(view(Lang::En, "/en/", &h).origin, "");
        h.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
        assert_eq!(view(Lang::En, "/en/", &h).origin, "http://127.0.0.1:8080");
    }
}
