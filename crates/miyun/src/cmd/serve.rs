use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_core::subject::SubjectKind;
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;
use miyun_store::Store;
use miyun_web::app::{Doors, Platform, app};
use miyun_web::server::Site;
use tokio::sync::watch;

use super::import::{How, import};
use crate::config::Config;
use crate::telemetry::Telemetry;

/// Serves the platform of a lake: pages, API, sign-in, jobs.
///
/// Examples: miyun serve --demo;
/// miyun serve --data data/prsa --city beijing --interval hour-end
#[derive(Args)]
pub struct Serve {
    /// Address to listen on; the configuration's (127.0.0.1:8212) if not given.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Makes a simulated city first, in a lake of its own (miyun-demo) unless --lake names one.
    #[arg(long)]
    demo: bool,
    /// Seed of the simulated city.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also receive HJ 212 at this address; with --demo at 127.0.0.1:7212 unless it says otherwise.
    #[arg(long)]
    gateway: Option<SocketAddr>,
    /// Settings of that gateway (TOML, as of `miyun gateway run`).
    #[arg(long, value_name = "FILE")]
    gateway_settings: Option<PathBuf>,
    /// Also open the carbon registry in this folder.
    #[arg(long)]
    registry: Option<PathBuf>,
    /// Simulated loggers that stream into the gateway of --demo.
    #[arg(long, default_value_t = 24)]
    loggers: u32,
    /// Files or folders to import first.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    how: How,
}

impl Serve {
    pub fn run(self, mut config: Config, lake_named: bool) -> Result<()> {
        if self.demo {
            if !lake_named {
                config.lake = PathBuf::from("miyun-demo");
                config.records = None;
                config.spool = None;
            }
            super::simulate::import(&config.lake, self.seed)?;
        }
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if !self.data.is_empty() {
            let mut lake = Lake::open(&config.lake)?;
            let done = import(&mut lake, &self.data, &self.how)?;
            for p in done.problems.iter().take(20) {
                eprintln!("{p}");
            }
            eprintln!(
                "imported: {} values new, {} revised, {} already there, {} problems",
                done.report.values_new,
                done.report.values_revised,
                done.report.values_known,
                done.problems_total
            );
            super::forensics::after_import(&lake, &self.how.city, done.report.commit.is_some());
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let telemetry = Telemetry::begin(config.log, config.traces.as_ref(), runtime.handle())?;
        let around = Around::begin(&config, &self)?;
        let served = runtime.block_on(serve(&config, self.demo, &around));
        drop(around);
        telemetry.end();
        served
    }
}

/// What runs beside the pages: the gateway with its simulated loggers, the registry.
#[derive(Default)]
struct Around {
    // Dropped in this order: loggers stop before the gateway that answers them.
    loggers: Option<super::hj212::send::Streaming>,
    gateway: Option<super::gateway::Begun>,
    registry: Option<PathBuf>,
}

/// Where the demonstration's gateway listens: 7212, or any port if that is taken.
fn demo_door() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 7212));
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

impl Around {
    fn begin(config: &Config, c: &Serve) -> Result<Self> {
        let mut around = Self::default();
        let settings = match &c.gateway_settings {
            Some(file) => {
                let text = std::fs::read_to_string(file);
                let text = text.with_context(|| file.display().to_string())?;
                Some(miyun_gateway::Settings::read(file, &text)?)
            }
            None => None,
        };
        let listen = c
            .gateway
            .or_else(|| settings.as_ref()?.listen.first().copied())
            .or_else(|| c.demo.then(demo_door));
        if let Some(listen) = listen {
            // Before the gateway opens its log.
            let heard = super::gateway::last_heard(&config.lake);
            if c.demo {
                super::gateway::register_fleet(&config.lake, c.loggers, c.seed, miyun_sim::CITY)?;
            }
            let mut settings = settings.unwrap_or_default();
            if c.gateway.is_some() || c.demo {
                settings.listen = vec![listen];
            }
            let how = super::gateway::How {
                city: if c.demo {
                    miyun_sim::CITY.into()
                } else {
                    c.how.city.clone()
                },
                jurisdiction: if c.demo {
                    miyun_sim::JURISDICTION.into()
                } else {
                    jurisdiction(&config.lake, &c.how.city)?
                },
                simulated: c.demo,
                lake_every_s: 60,
                lake_merge_commits: 32,
                token: std::env::var("MIYUN_GATEWAY_TOKEN").ok(),
            };
            around.gateway = Some(super::gateway::begin(&config.lake, settings, &how)?);
            let to = around.gateway.as_ref().and_then(|g| g.addresses().first());
            let to = to.unwrap_or(&listen).to_string();
            eprintln!("HJ 212 on {to}");
            if c.demo && c.loggers > 0 {
                around.loggers = Some(super::hj212::send::Streaming::begin(
                    &to, c.loggers, c.seed, heard,
                )?);
            }
        }
        around.registry = c.registry.clone();
        if c.demo && around.registry.is_none() {
            let dir = config.lake.join("registry");
            if !dir.join("operator.key").exists() {
                super::registry::demo(&dir, c.seed)?;
            }
            around.registry = Some(dir);
        }
        Ok(around)
    }
}

/// Where a city lies in law, as the lake has it.
fn jurisdiction(lake: &std::path::Path, city: &str) -> Result<String> {
    let subjects = Lake::open(lake)?.subjects();
    let city = subjects.iter().find(|s| s.id.as_str() == city);
    Ok(city.map_or_else(|| "CN".into(), |c| c.jurisdiction.to_string()))
}

/// How often the pages look whether the lake has changed.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

async fn serve(config: &Config, demo: bool, around: &Around) -> Result<()> {
    let lake = Lake::open(&config.lake)?;
    let subjects = lake.subjects();
    if !subjects.iter().any(|s| s.kind == SubjectKind::City) {
        bail!(
            "{} has no city yet: add --demo, or --data with your files",
            config.lake.display()
        );
    }
    let store = Store::open(&config.records_url()).await?;
    if demo {
        miyun_web::articles::demo::fill(&store, jiff::Timestamp::now()).await?;
    }
    let book = Rulebook::embedded();
    // Plans of the lake's cities first; the others are still worth reading.
    let mut plans = miyun_plan::embedded(book.vocabulary());
    let here = |p: &miyun_plan::Plan| {
        let of = |i: &miyun_plan::Indicator| subjects.iter().any(|s| s.id == i.subject);
        p.measures.iter().flat_map(|m| &m.indicators).any(of)
    };
    plans.sort_by_key(|p| !here(p));
    let site = Arc::new(Site::new(lake, book, plans, super::today()).with_store(store.clone()));
    let watched = Arc::clone(&site);
    let looking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let site = Arc::clone(&watched);
            site.turn(super::today());
            match tokio::task::spawn_blocking(move || site.refresh()).await {
                Ok(Err(e)) => tracing::error!("{e}"),
                Err(e) => tracing::error!("{e}"),
                Ok(Ok(())) => {}
            }
        }
    });
    let warming = Arc::clone(&site);
    tokio::task::spawn_blocking(move || warming.warm());
    let platform = Platform::new(site, store.clone(), config.web.clone(), config.spool())
        .with_context(|| config.spool().display().to_string())?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let told_to_stop = told_to_stop();
    eprintln!("open http://{}/ (stop with Ctrl-C)", listener.local_addr()?);
    let (say_stop, stop) = watch::channel(false);
    let jobs = tokio::spawn(miyun_web::jobs::background(
        Arc::clone(&platform),
        stop.clone(),
    ));
    let mut told = stop.clone();
    let doors = Doors {
        devices: around.gateway.as_ref().map(|g| Arc::clone(&g.hub)),
        registry: match &around.registry {
            Some(dir) => {
                let base = format!("http://{}", config.listen);
                Some(super::registry::desk(dir, None, Vec::new(), base).await?)
            }
            None => None,
        },
    };
    let answers = miyun_web::listen::serve(listener, app(platform, doors), async move {
        let _ = told.wait_for(|s| *s).await;
    });
    let stopper = tokio::spawn(async move {
        told_to_stop.await;
        tracing::warn!("stopping: answers under way are finished");
        let _ = say_stop.send(true);
    });
    answers.await.context("serving")?;
    looking.abort();
    stopper.abort();
    jobs.await.context("jobs")??;
    // SQLite then has one file again.
    store.close().await;
    Ok(())
}

/// Waits for Ctrl-C or, as service managers send it, SIGTERM; both are heard from the call on, so that
/// a stop right after the start is an orderly one too.
#[cfg(unix)]
fn told_to_stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let heard = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
    async move {
        let [mut interrupt, mut terminate] = heard;
        let next = async |s: &mut Option<Signal>| match s {
            Some(s) => drop(s.recv().await),
            None => std::future::pending().await,
        };
        tokio::select! {
            () = next(&mut interrupt) => {}
            () = next(&mut terminate) => {}
        }
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}
