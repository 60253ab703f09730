//! Devices and outlets: pages, live updates and API over a running gateway. A tree of its own, merged
//! into a site by one line.

mod api;
pub mod figures;
pub mod judge;
mod pages;
mod sensorthings;
pub mod stored;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::http::header;
use axum::routing::{get, post};
use miyun_core::JurisdictionId;
use miyun_gateway::relay::RelayStats;
use miyun_gateway::server::{Caller, Door, Follow, Recovery, Running};
use miyun_gateway::writer::Stats;
use miyun_lake::{Lake, LakeError};
use miyun_rulebook::Rulebook;
use tokio::sync::Semaphore;

/// What the pages show and the API acts on.
pub struct Hub {
    /// Log, registry, state and clock.
    pub follow: Follow,
    /// Folder of the gateway.
    pub dir: PathBuf,
    /// Folder of the lake: the history of what the gateway received.
    pub lake: PathBuf,
    /// Who is connected.
    pub caller: Caller,
    /// The door for documents.
    pub door: Arc<Door>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// Relays by name.
    pub relays: Vec<(String, Arc<RelayStats>)>,
    /// What opening found.
    pub recovery: Recovery,
    /// The law.
    pub book: &'static Rulebook,
    /// Where the outlets lie in law.
    pub jurisdiction: JurisdictionId,
    /// All of it was made by a simulator.
    pub simulated: bool,
    /// What a request must bear to change something; nothing can be changed by HTTP without one.
    pub token: Option<String>,
    listeners: Semaphore,
    /// The lake as of the last change of its commits.
    opened: Mutex<Option<(SystemTime, Arc<Lake>)>>,
}

/// Pages that are kept up to date at once.
const LISTENERS_MAX: usize = 256;

impl Hub {
    /// A hub over a running gateway.
    #[must_use]
    pub fn new(
        running: &Running,
        lake: PathBuf,
        book: &'static Rulebook,
        jurisdiction: JurisdictionId,
        simulated: bool,
        token: Option<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            follow: running.follow(),
            dir: running.dir().to_owned(),
            lake,
            caller: running.caller(),
            door: Arc::clone(running.door()),
            stats: Arc::clone(running.stats()),
            relays: running.relays().to_vec(),
            recovery: running.recovery().clone(),
            book,
            jurisdiction,
            simulated,
            token: token.filter(|t| !t.is_empty()),
            listeners: Semaphore::new(LISTENERS_MAX),
            opened: Mutex::default(),
        })
    }

    /// The lake as it is now; read anew only when a commit came.
    ///
    /// # Errors
    /// [`LakeError`] if it cannot be read.
    pub fn lake_now(&self) -> Result<Arc<Lake>, LakeError> {
        let changed = std::fs::metadata(self.lake.join("commits")).and_then(|m| m.modified());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, lake)) = opened.as_ref()
            && *at == changed
        {
            return Ok(Arc::clone(lake));
        }
        let lake = Arc::new(Lake::open(&self.lake)?);
        *opened = Some((changed, Arc::clone(&lake)));
        Ok(lake)
    }
}

/// Largest document taken by HTTP.
const BODY_MAX: usize = 1 << 20;

/// The routes of devices and outlets.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/{lang}/devices", get(pages::list))
        .route("/{lang}/devices/{mn}", get(pages::device))
        .route("/{lang}/outlets/{*id}", get(pages::outlet))
        .route(
            "/static/devices.js",
            get(|| async {
                (
                    [
                        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
                        (header::CACHE_CONTROL, "max-age=300"),
                    ],
                    include_str!("devices/live.js"),
                )
            }),
        )
        .route("/live/devices", get(api::live))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/devices/{mn}", get(api::device))
        .route("/api/v1/devices/{mn}/properties", post(api::set))
        .route(
            "/api/v1/devices/{mn}/commands",
            get(api::commands).post(api::ask),
        )
        .route("/api/v1/devices/{mn}/proof", get(api::proof))
        .route("/api/v1/readings", post(api::push))
        .route("/api/v1/roots", get(api::roots))
        .route("/api/v1/gateway", get(api::gateway))
        .merge(sensorthings::router())
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .with_state(hub)
}
