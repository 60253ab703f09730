//! The whole platform behind one door: pages, API, sign-in, jobs, and the layers around them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use miyun_store::Store;
use opentelemetry_http::HeaderExtractor;
use serde::Deserialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::auth::{Limits, Oidc, OidcSettings};
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::server::Site;
use crate::{api, auth, jobs};

/// What an installation may choose. Every field has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// True if readers reach the site by https: cookies are then never sent otherwise.
    pub https: bool,
    /// True if a proxy in front sets `X-Forwarded-For` and `X-Request-Id`.
    pub behind_proxy: bool,
    /// A session ends after so many minutes without a visit.
    pub session_idle_minutes: u32,
    /// A session ends after so many hours whatever happens.
    pub session_hours: u32,
    /// Requests to the API from one address in a minute.
    pub api_requests_per_minute: u32,
    /// Attempts to sign in from one address, and to one account, in a minute.
    pub sign_ins_per_minute: u32,
    /// Largest upload of observations in MiB.
    pub upload_mib_max: u32,
    /// Sign-in at another provider.
    pub oidc: Option<OidcSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            https: false,
            behind_proxy: false,
            session_idle_minutes: 60,
            session_hours: 12,
            api_requests_per_minute: 600,
            sign_ins_per_minute: 10,
            upload_mib_max: 64,
            oidc: None,
        }
    }
}

/// Everything that answers requests.
pub struct Platform {
    /// What the pages show.
    pub site: Arc<Site>,
    /// The records.
    pub store: Store,
    /// What the installation chose.
    pub settings: Settings,
    /// Folder of files that wait for an import.
    pub spool: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) jobs: Jobs,
    pub(crate) oidc: Option<Oidc>,
}

impl Platform {
    /// A platform over a site and its records. `spool` is made if it is absent.
    ///
    /// # Errors
    /// If the spool cannot be made.
    pub fn new(
        site: Arc<Site>,
        store: Store,
        settings: Settings,
        spool: PathBuf,
    ) -> std::io::Result<Arc<Self>> {
        std::fs::create_dir_all(&spool)?;
        Ok(Arc::new(Self {
            limits: Limits::new(&settings),
            metrics: Metrics::new(),
            jobs: Jobs::new(),
            oidc: settings.oidc.clone().map(Oidc::new),
            site,
            store,
            settings,
            spool,
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// State of the platform's own handlers.
pub(crate) type Shared = State<Arc<Platform>>;

/// Largest body of a request that is no upload: a form with a picture.
const BODY_LEN_MAX: usize = 9 << 20;

/// Id of a request, in its log lines and its answer.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Address of the client, as far as it can be known.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub IpAddr);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What else stands behind the door of a platform, where it runs.
#[derive(Default)]
pub struct Doors {
    /// The receiver of loggers.
    pub devices: Option<Arc<crate::devices::Hub>>,
    /// The carbon registry.
    pub registry: Option<Arc<crate::registry::Desk>>,
}

impl Doors {
    /// Their routes; what does not run here says how to start it.
    fn routes(self) -> Router {
        let devices = self.devices.map_or_else(
            || {
                absent(
                    "/{lang}/devices",
                    ("设备", "Devices"),
                    "这里没有运行数据接收网关。用 miyun serve --gateway 127.0.0.1:7212 启动。",
                    "No gateway runs here. Start one with miyun serve --gateway 127.0.0.1:7212.",
                )
            },
            crate::devices::router,
        );
        let registry = self.registry.map_or_else(
            || {
                absent(
                    "/{lang}/registry",
                    ("碳登记", "Registry"),
                    "这里没有打开碳登记簿。用 miyun registry init 建立，再用 miyun serve --registry 打开。",
                    "No carbon registry is open here. Found one with miyun registry init and open it with miyun serve --registry.",
                )
            },
            crate::registry::router,
        );
        devices.merge(registry)
    }
}

/// A page that says what is not here.
fn absent(
    path: &str,
    title: (&'static str, &'static str),
    zh: &'static str,
    en: &'static str,
) -> Router {
    let page = move |view: crate::shell::View| {
        crate::server::shown(view, move |v| {
            let title = v.tr(title.0, title.1);
            let body = maud::html! { h1 { (title) } p.lead { (v.tr(zh, en)) } };
            Ok(crate::server::Shown::new(title, false, body))
        })
    };
    Router::new().route(path, get(page))
}

/// The routes of a platform with every layer around them.
pub fn app(platform: Arc<Platform>, doors: Doors) -> Router {
    if let Some(hub) = &doors.devices {
        platform.site.ask_outlets(Arc::clone(hub) as _);
    }
    let extra = Router::new()
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(auth::routes())
        .merge(jobs::routes())
        .merge(api::routes())
        .with_state(Arc::clone(&platform))
        .merge(doors.routes().layer(from_fn(crate::pack::squeeze)));
    let uploads = api::upload_routes(Arc::clone(&platform));
    crate::server::router_with(Arc::clone(&platform.site), extra)
        .layer(RequestBodyLimitLayer::new(BODY_LEN_MAX))
        .merge(uploads)
        .layer(from_fn_with_state(Arc::clone(&platform), auth::who))
        .layer(from_fn_with_state(Arc::clone(&platform), auth::limit))
        .layer(from_fn_with_state(platform, observe))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                Problem::internal("a handler panicked").into_response()
            },
        ))
        .layer(from_fn(guarded))
}

/// Guards every answer, and says errors that the framework makes itself (an unknown method, a body
/// that does not parse) as problem+json where the API was asked.
async fn guarded(request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let status = response.status();
    let said = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"application/problem"));
    if api && !said && (status.is_client_error() || status.is_server_error()) {
        response = as_problem(response).await;
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, crate::server::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, crate::server::REFERRER),
    ] {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn as_problem(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 4_096).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let plain = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/plain"));
    let detail = if plain && !text.trim().is_empty() {
        text.trim().to_owned()
    } else {
        parts
            .status
            .canonical_reason()
            .unwrap_or("error")
            .to_owned()
    };
    let code = match parts.status.as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 | 504 => Code::Timeout,
        413 => Code::TooLarge,
        415 => Code::UnsupportedType,
        429 => Code::TooMany,
        500..=599 => Code::Internal,
        _ => Code::BadRequest,
    };
    let mut out = Problem::new(code, detail).into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            out.headers_mut().entry(name).or_insert(value.clone());
        }
    }
    out
}

/// Gives every request an id and an address, and writes what came of it.
async fn observe(State(p): Shared, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let given = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|_| p.settings.behind_proxy)
        .and_then(|v| v.to_str().ok())
        .filter(|v| {
            (8..=64).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    let id = given.map_or_else(
        || miyun_store::JobId::new(p.now()).to_string(),
        str::to_owned,
    );
    let client = client(&p, &request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(Client(client));
    request
        .extensions_mut()
        .insert(crate::shell::Address(client));
    // The names are those of OpenTelemetry's conventions for HTTP servers.
    let span = tracing::info_span!(
        target: crate::TRACE,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = %method,
        http.route = %route,
        http.response.status_code = tracing::field::Empty,
        url.path = %path,
        miyun.request = %id,
    );
    // A caller that traces has said which trace this belongs to (W3C trace context). Without a
    // collector nobody reads it, and there is no span to set it on.
    let caller = opentelemetry::global::get_text_map_propagator(|p| {
        p.extract(&HeaderExtractor(request.headers()))
    });
    let _ = span.set_parent(caller);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    let elapsed = begun.elapsed();
    p.metrics
        .request(method.as_str(), &route, status, elapsed.as_secs_f64());
    if let Ok(v) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, v);
    }
    tracing::info!(
        request = %id,
        client = %client,
        method = %method,
        path = %path,
        status,
        ms = elapsed.as_millis() as u64,
        "request"
    );
    response
}

/// The peer's address, or what the proxy in front says it was.
fn client(p: &Platform, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<crate::listen::Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| {
            SocketAddr::ip(&peer.0)
        });
    if !p.settings.behind_proxy {
        return peer;
    }
    // The last hop is what our own proxy saw; what stands before it anyone can write.
    request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .next_back()
        .and_then(|a| a.trim().parse().ok())
        .unwrap_or(peer)
}

/// Whether requests can be answered: the records answer and the lake can be read.
async fn ready(State(p): Shared) -> Response {
    match p.store.ping().await {
        Ok(()) => ([(header::CACHE_CONTROL, "no-store")], "ready\n").into_response(),
        Err(e) => {
            tracing::error!(error = %e, "the records do not answer");
            (
                axum::http::StatusCode::SERVICE_UNAVAILABLE,
                "the records do not answer\n",
            )
                .into_response()
        }
    }
}

/// What a Prometheus server collects. From this machine only, unless a proxy lets others in.
async fn metrics(State(p): Shared, request: Request) -> Response {
    let client = request
        .extensions()
        .get::<Client>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0);
    if !client.is_loopback() {
        return Problem::new(Code::Forbidden, "metrics are for this machine only").into_response();
    }
    if let Ok((_, all)) = p.store.jobs(1, 100).await {
        p.metrics.jobs(&all);
    }
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        p.metrics.text(),
    )
        .into_response()
}
