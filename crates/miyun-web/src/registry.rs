//! The carbon registry's doors: an API that takes signed requests, and pages that show balances,
//! provenance, retirements and compliance with their proofs.
//!
//! [`router`] is self-contained and merges into a site; [`standalone`] is a site of its own.

mod api;
mod check;
mod mirror;
mod pages;
mod problem;
mod project;
mod sheets;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::{get, post};
use miyun_registry::mirror::Mirror;
use miyun_registry::read::{ReadModel, Row, Snapshot, rows};
use miyun_registry::{Answer, Error, Registry, time};
use tokio::sync::{Semaphore, mpsc, watch};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub use api::Document;

/// Longest body of a request.
const BODY_MAX: usize = 128 * 1024;
/// Longest that a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that an answer waits for the read model to catch up.
const CATCH_UP: Duration = Duration::from_secs(5);

/// A registry with its read model and mirrors.
pub struct Desk {
    registry: Arc<Registry>,
    read: ReadModel,
    mirrors: Vec<Mirror>,
    base: String,
    projected: watch::Receiver<Option<u64>>,
    past: Past,
}

/// Registries of past moments; each costs a replay of the journal, so the last ones are kept and
/// one is made at a time.
struct Past {
    kept: Mutex<Vec<(String, Arc<Registry>)>>,
    turn: Semaphore,
}

/// Past moments that are kept.
const PAST_MAX: usize = 4;

impl Past {
    fn get(&self, known: &str) -> Option<Arc<Registry>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(k, _)| k == known)
            .map(|(_, r)| Arc::clone(r))
    }

    fn put(&self, known: &str, registry: &Arc<Registry>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= PAST_MAX {
            kept.remove(0);
        }
        kept.push((known.to_owned(), Arc::clone(registry)));
    }
}

impl Desk {
    /// Opens the doors of a registry: brings the read model up to date, and keeps it so. `base` is
    /// the address under which the public reaches the site; certificates print it.
    ///
    /// # Errors
    /// [`Error::Storage`] if the read model cannot be written.
    pub async fn open(
        registry: Arc<Registry>,
        read: ReadModel,
        mirrors: Vec<Mirror>,
        base: String,
    ) -> Result<Arc<Self>, Error> {
        let (send, mut work) = mpsc::unbounded_channel::<(u64, Vec<Row>)>();
        // From here on every record reaches the channel; what came before is in the snapshot. A
        // record in both is written twice, which changes nothing.
        registry.observe(Box::new(move |record, at, filing, model| {
            // The receiver is gone only when the desk is; then nobody reads.
            let _ = send.send((record, rows(record, at, filing, model)));
        }));
        let (last, snapshot) = {
            let model = registry.model();
            let last = model.filings().last().map(|f| f.0);
            (last, Snapshot::of(&model))
        };
        if read.position().await? != last {
            read.rebuild(&snapshot).await?;
        }
        let (done, projected) = watch::channel(last);
        let writer = read.clone();
        tokio::spawn(async move {
            while let Some((record, mut rows)) = work.recv().await {
                let mut last = record;
                // What has queued up meanwhile goes into one transaction.
                while rows.len() < 2_000
                    && let Ok((record, more)) = work.try_recv()
                {
                    last = record;
                    rows.extend(more);
                }
                while let Err(e) = writer.write(&rows).await {
                    tracing::error!("read model: {e}; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                done.send_replace(Some(last));
            }
        });
        Ok(Arc::new(Self {
            registry,
            read,
            mirrors,
            base,
            projected,
            past: Past {
                kept: Mutex::default(),
                turn: Semaphore::new(1),
            },
        }))
    }

    /// The registry as known at a moment (RFC 3339), or as it is.
    async fn at(&self, known: Option<&str>) -> Result<Arc<Registry>, Error> {
        let Some(known) = known else {
            return Ok(Arc::clone(&self.registry));
        };
        let until = time::parse(known)?;
        if until >= self.registry.now() {
            return Ok(Arc::clone(&self.registry));
        }
        if let Some(r) = self.past.get(known) {
            return Ok(r);
        }
        let _turn = self.past.turn.acquire().await;
        // Whoever waited may find what it waited for.
        if let Some(r) = self.past.get(known) {
            return Ok(r);
        }
        let registry = Arc::clone(&self.registry);
        let made = tokio::task::spawn_blocking(move || registry.as_known(until))
            .await
            .map_err(|e| Error::Journal {
                code: "stopped".into(),
                text: e.to_string(),
            })?;
        let made = Arc::new(made?);
        self.past.put(known, &made);
        Ok(made)
    }

    /// Takes a signed request off the async threads and waits until the read model shows it.
    async fn submit(self: &Arc<Self>, body: Vec<u8>) -> Result<Answer, Error> {
        let desk = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || desk.registry.submit(&body))
            .await
            .map_err(|e| Error::Journal {
                code: "stopped".into(),
                text: e.to_string(),
            })??;
        let mut projected = self.projected.clone();
        let caught = projected.wait_for(|p| p.is_some_and(|p| p >= answer.record));
        // The record is durable either way; a slow read model only shows it later.
        let _ = tokio::time::timeout(CATCH_UP, caught).await;
        Ok(answer)
    }
}

/// The routes: `/{lang}/registry/...` and `/api/registry/v1/...`.
pub fn router(desk: Arc<Desk>) -> Router {
    let api = Router::new()
        .route("/requests", post(api::submit))
        .route("/head", get(api::head))
        .route("/proofs/{record}", get(api::proof))
        .route("/proofs/check", post(api::check))
        .route("/parties", get(api::parties))
        .route("/parties/{id}", get(api::party))
        .route("/accounts/{number}", get(api::account))
        .route("/assets", get(api::assets))
        .route("/assets/{name}", get(api::asset))
        .route("/projects", get(api::projects))
        .route("/projects/{id}", get(api::project))
        .route("/transfers/{id}", get(api::transfer))
        .route("/retirements", get(api::retirements))
        .route("/retirements/{id}", get(api::retirement))
        .route("/retirements/{id}/certificate.pdf", get(api::certificate))
        .route("/compliance/{year}", get(api::compliance))
        .route("/movements", get(api::movements))
        .route("/cad-trust", get(api::cad_trust))
        .route("/mirrors/{name}", get(api::mirror))
        .route("/tables/{name}", get(sheets::sheet))
        .route("/openapi.json", get(api::openapi));
    Router::new()
        .nest("/api/registry/v1", api)
        .route("/{lang}/registry", get(pages::overview))
        .route("/{lang}/registry/parties", get(pages::parties))
        .route("/{lang}/registry/party/{id}", get(pages::party))
        .route("/{lang}/registry/account/{number}", get(pages::account))
        .route("/{lang}/registry/asset/{name}", get(project::asset))
        .route("/{lang}/registry/credit/{name}", get(project::asset))
        .route("/{lang}/registry/projects", get(project::list))
        .route("/{lang}/registry/project/{id}", get(project::one))
        .route("/{lang}/registry/retirements", get(tables::retirements))
        .route("/{lang}/registry/retirement/{id}", get(tables::retirement))
        .route("/{lang}/registry/compliance", get(tables::compliance))
        .route("/{lang}/registry/record/{number}", get(check::record))
        .route(
            "/{lang}/registry/check",
            get(check::page).post(check::posted),
        )
        .route("/{lang}/registry/mirror/{name}", get(mirror::page))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIMEOUT,
        ))
        .with_state(desk)
}

/// A site that is only the registry, with the style sheet and the headers of the platform.
pub fn standalone(desk: Arc<Desk>) -> Router {
    let set = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    router(desk)
        .route("/static/{name}", get(crate::assets::file))
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/",
            get(|| async { axum::response::Redirect::temporary("/zh/registry") }),
        )
        .layer(set("content-security-policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"))
        .layer(set("x-content-type-options", "nosniff"))
        .layer(set("referrer-policy", crate::server::REFERRER))
}
