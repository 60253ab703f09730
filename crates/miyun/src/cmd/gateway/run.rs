//! Runs a gateway with everything that belongs to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use miyun_gateway::command::Patience;
use miyun_gateway::{Running, Settings};
use miyun_lake::Merging;
use miyun_rulebook::Rulebook;
use miyun_web::devices::{self, Hub};

use super::lake::{self, Place};
use super::{FOLDER, folder};

/// Receive: HJ 212 over TCP and TLS, relays, MQTT, folders, pages.
///
/// Example: miyun gateway run --settings gateway.toml --http 127.0.0.1:8212 --city linxi --simulated
#[derive(Args)]
pub struct Run {
    /// Settings (TOML); defaults listen on 127.0.0.1:7212.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Address for HJ 212, instead of the settings'.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Address for pages and API.
    #[arg(long, default_value = "127.0.0.1:8212")]
    http: SocketAddr,
    #[command(flatten)]
    how: How,
}

/// How a gateway's data enter the lake.
#[derive(Args, Clone)]
pub struct How {
    /// City that the outlets belong to.
    #[arg(long, default_value = "linxi")]
    pub city: String,
    /// Where they lie in law.
    #[arg(long, default_value = "CN/sim")]
    pub jurisdiction: String,
    /// All devices are simulated; pages and subjects say so.
    #[arg(long)]
    pub simulated: bool,
    /// Seconds between runs that bring readings into the lake.
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lake_every_s: u64,
    /// Commits of the lake that are merged into one; 0 merges none.
    #[arg(long, default_value = "32", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub lake_merge_commits: u32,
    /// Bearer token for changes by HTTP; without one there are none.
    #[arg(long, env = "MIYUN_GATEWAY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// The first pause between runs into the lake.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// A gateway with everything that belongs to it; stops when dropped.
pub struct Begun {
    running: Option<Running>,
    /// For the pages.
    pub hub: Arc<Hub>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Begun {
    /// Where it listens for HJ 212.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.as_ref().map_or(&[], |r| r.addresses())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(r) = self.running.take() {
            r.stop();
        }
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

/// Opens and starts a gateway below the lake's folder, with its compactor and folders; for
/// `miyun gateway run` and for `miyun serve`.
pub fn begin(lake: &Path, settings: Settings, how: &How) -> Result<Begun> {
    let dir = lake.join(FOLDER);
    let book = Rulebook::embedded();
    let place = Place {
        city: how.city.parse().context("--city")?,
        jurisdiction: how.jurisdiction.parse().context("--jurisdiction")?,
        simulated: how.simulated,
    };
    let folders = settings.folder.clone();
    let mut running = miyun_gateway::Gateway::open(&dir, settings)?.start()?;
    running.attend(patience(book))?;
    let hub = Hub::new(
        &running,
        lake.to_owned(),
        book,
        place.jurisdiction.clone(),
        how.simulated,
        how.token.clone(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let follow = running.follow();
    let (s, l, every) = (
        Arc::clone(&stop),
        lake.to_owned(),
        Duration::from_secs(how.lake_every_s),
    );
    let city = how.city.clone();
    let merging = Merging {
        commits: how.lake_merge_commits as usize,
        ..Merging::default()
    };
    let compactor = std::thread::Builder::new()
        .name("miyun-lake".into())
        .spawn(move || {
            // What came first is soon there; the pause grows until it is the one that was asked for.
            let mut pause = every.min(FIRST_PAUSE);
            let mut next = std::time::Instant::now() + pause;
            let mut registered = 0;
            // Once more at the end, so that a short run leaves nothing behind.
            loop {
                let last = s.load(Ordering::Acquire);
                if last || std::time::Instant::now() >= next {
                    pause = every.min(pause * 2);
                    next = std::time::Instant::now() + pause;
                    let caught_up = match last {
                        true => follow.state.catch_up(&follow).map_err(anyhow::Error::from),
                        false => Ok(()),
                    };
                    let done = caught_up.and_then(|()| {
                        lake::compact(&dir, &l, &follow, book, &place, &mut registered)
                    });
                    if let Err(e) = done {
                        tracing::error!("lake: {e:#}");
                    }
                    if merging.commits > 0
                        && let Err(e) = lake::merge(&l, merging)
                    {
                        tracing::error!("lake: {e:#}");
                    }
                    for f in &folders {
                        if let Err(e) = folder::sweep(f, &l, &city) {
                            tracing::error!("{}: {e:#}", f.path.display());
                        }
                    }
                }
                if last {
                    return;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        })?;
    Ok(Begun {
        running: Some(running),
        hub,
        stop,
        threads: vec![compactor],
    })
}

/// How long to wait for devices (2017 table 1): the longest of the networks, as the rulebook has it.
fn patience(book: &Rulebook) -> Patience {
    let t = &book.vocabulary().hj212.timeouts;
    let answer = Duration::from_secs(t.iter().map(|t| u64::from(t.timeout_s)).max().unwrap_or(10));
    Patience {
        answer,
        resends: t.iter().map(|t| t.resends).max().unwrap_or(3),
        result: answer * 6,
    }
}

impl Run {
    pub fn run(self, lake: &Path) -> Result<()> {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing::Level::INFO)
            .init();
        let mut settings = match &self.settings {
            Some(p) => Settings::read(
                p,
                &std::fs::read_to_string(p).with_context(|| p.display().to_string())?,
            )?,
            None => Settings::default(),
        };
        if let Some(a) = self.listen {
            settings.listen = vec![a];
        }
        let begun = begin(lake, settings, &self.how)?;
        if let Some(r) = &begun.running {
            let rec = r.recovery();
            eprintln!(
                "log: {} records; {:.1} MB read in {:.2} s",
                rec.records,
                rec.bytes_read as f64 / 1e6,
                rec.seconds
            );
            if let Some(c) = &rec.cut {
                eprintln!(
                    "log: cut {} bytes of a batch that was never acknowledged ({})",
                    c.bytes,
                    c.path.display()
                );
            }
            for a in r.addresses() {
                eprintln!("HJ 212 on {a}");
            }
            for a in r.tls_addresses() {
                eprintln!("HJ 212 over TLS on {a}");
            }
        }
        let app = site(Arc::clone(&begun.hub));
        tokio::runtime::Runtime::new()?.block_on(async {
            let listener = tokio::net::TcpListener::bind(self.http).await.with_context(|| self.http.to_string())?;
            eprintln!("pages on http://{}/zh/devices", listener.local_addr()?);
            axum::serve(listener, app)
                .with_graceful_shutdown(async {
                    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = async { match &mut term { Some(t) => { t.recv().await; } None => std::future::pending().await } } => {}
                    }
                })
                .await?;
            anyhow::Ok(())
        })?;
        drop(begun);
        Ok(())
    }
}

/// Pages and API of a gateway that runs alone.
fn site(hub: Arc<Hub>) -> axum::Router {
    use axum::http::{HeaderName, HeaderValue};
    use axum::response::Redirect;
    use axum::routing::get;
    use tower_http::set_header::SetResponseHeaderLayer;
    let set = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    devices::router(hub)
        .route("/", get(|| async { Redirect::to("/zh/devices") }))
        .route("/static/{name}", get(miyun_web::assets::file))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(set("content-security-policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"))
        .layer(set("x-content-type-options", "nosniff"))
        .layer(set("referrer-policy", miyun_web::server::REFERRER))
}
