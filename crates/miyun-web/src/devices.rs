//! Devices and outlets: pages, live updates and API over a running gateway. A tree of its own, merged
//! into a site by one line.

mod api;
pub mod figures;
pub mod judge;
mod pages;
mod sensorthings;
mod sheets;
pub mod stored;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::http::header;
use axum::routing::{get, post};
use miyun_core::JurisdictionId;
use miyun_gateway::command::{self, Line};
use miyun_gateway::registry::Registry;
use miyun_gateway::relay::RelayStats;
use miyun_gateway::server::{Caller, Door, Follow, Recovery, Running, paths};
use miyun_gateway::state::State;
use miyun_gateway::writer::Stats;
use miyun_lake::{Lake, LakeError};
use miyun_rulebook::Rulebook;
use tokio::sync::Semaphore;

/// Folder of a gateway below the lake's.
pub const FOLDER: &str = "gateway";

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
    past: Mutex<Vec<(i64, Arc<Seen>)>>,
    /// The lake as of the last change of its commits.
    opened: Mutex<Option<(SystemTime, Arc<Lake>)>>,
    /// What that holds of each subject.
    listed: Mutex<Option<(Arc<Lake>, Arc<sensorthings::Listed>)>>,
}

/// What was known of the devices at a moment.
pub(crate) struct Seen {
    /// The register as it was.
    pub registry: Arc<Registry>,
    /// What the frames received by then say.
    pub state: Arc<State>,
    /// The moment.
    pub now_ms: i64,
    /// True if it is over: who was connected then is not recorded.
    pub past: bool,
}

/// Past moments that are kept.
const PAST_MAX: usize = 4;

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
            past: Mutex::default(),
            opened: Mutex::default(),
            listed: Mutex::default(),
        })
    }

    /// What is known now.
    pub(crate) fn now(&self) -> Arc<Seen> {
        Arc::new(Seen {
            registry: Arc::clone(&self.follow.registry),
            state: Arc::clone(&self.follow.state),
            now_ms: self.follow.clock.now_ms(),
            past: false,
        })
    }

    /// What was known at a moment (RFC 3339), or what is known now.
    pub(crate) async fn at(self: &Arc<Self>, known: Option<&str>) -> Result<Arc<Seen>, String> {
        if known.is_none() {
            return Ok(self.now());
        }
        let (hub, known) = (Arc::clone(self), known.map(str::to_owned));
        tokio::task::spawn_blocking(move || hub.read_at(known.as_deref()))
            .await
            .map_err(|e| e.to_string())?
    }

    /// The same, away from the threads that answer. The past is read from the log, one moment at a
    /// time, and the last ones are kept.
    fn read_at(&self, known: Option<&str>) -> Result<Arc<Seen>, String> {
        let Some(known) = known else {
            return Ok(self.now());
        };
        let until_ms = known
            .parse::<jiff::Timestamp>()
            .map_err(|e| format!("known={known}: {e}"))?
            .as_millisecond();
        if until_ms >= self.follow.clock.now_ms() {
            return Ok(self.now());
        }
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, s)) = past.iter().find(|(t, _)| *t == until_ms) {
            return Ok(Arc::clone(s));
        }
        let failed = |e: miyun_gateway::GatewayError| e.to_string();
        let registry = Registry::as_known(&paths::registry(&self.dir), until_ms).map_err(failed)?;
        let state = State::as_known(
            &self.follow.log,
            self.follow.progress.end(),
            &registry,
            until_ms,
            self.follow.utc_offset_minutes,
        )
        .map_err(failed)?;
        let made = Arc::new(Seen {
            registry: Arc::new(registry),
            state: Arc::new(state),
            now_ms: until_ms,
            past: true,
        });
        if past.len() >= PAST_MAX {
            past.remove(0);
        }
        past.push((until_ms, Arc::clone(&made)));
        Ok(made)
    }

    /// What was asked of a device by a moment, oldest first.
    pub(crate) async fn commands(self: &Arc<Self>, mn: &str, seen: &Seen) -> Vec<Line> {
        let (hub, suffix, until_ms) = (Arc::clone(self), format!("-{mn}"), seen.now_ms);
        let past = seen.past;
        tokio::task::spawn_blocking(move || {
            let mut lines = command::history(&hub.dir).unwrap_or_default();
            lines.retain(|l| l.id.ends_with(&suffix) && (!past || l.at_ms <= until_ms));
            lines
        })
        .await
        .unwrap_or_default()
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

impl crate::outlets::Outlets for Hub {
    fn known(&self, known: Option<&str>) -> Result<Vec<crate::outlets::Outlet>, String> {
        let seen = self.read_at(known)?;
        Ok(pages::outlets(self, &seen))
    }
}

/// What of the API of devices is described; it is a part of the document of the platform.
#[derive(utoipa::OpenApi)]
#[openapi(paths(sheets::sheet))]
pub(crate) struct Document;

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
        .route("/api/v1/device-tables/{name}", get(sheets::sheet))
        .route("/api/v1/roots", get(api::roots))
        .route("/api/v1/gateway", get(api::gateway))
        .merge(sensorthings::router())
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .with_state(hub)
}
