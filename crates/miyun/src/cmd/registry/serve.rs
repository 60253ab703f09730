//! Serving pages and API; the SQL read model.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use miyun_registry::mirror;
use miyun_registry::read::{ReadModel, Snapshot};
use miyun_registry::service::Registry as Service;
use miyun_web::registry::{Desk, standalone};

use crate::out::line;

#[derive(Args)]
pub struct Serve {
    /// Folder of the registry.
    dir: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8040")]
    listen: SocketAddr,
    /// SQL read model; `read.db` in the folder if absent.
    #[arg(long, env = "MIYUN_READ_MODEL")]
    read_model: Option<String>,
    /// Address under which the public reaches the site, for certificates.
    #[arg(long)]
    base: Option<String>,
    /// Public extracts of other registries to show as read-only mirrors.
    #[arg(long)]
    mirror: Vec<PathBuf>,
}

#[derive(Args)]
pub struct Rebuild {
    /// Folder of the registry.
    dir: PathBuf,
    /// SQL read model; `read.db` in the folder if absent.
    #[arg(long, env = "MIYUN_READ_MODEL")]
    read_model: Option<String>,
}

fn url(dir: &std::path::Path, given: Option<String>) -> String {
    given.unwrap_or_else(|| format!("sqlite://{}?mode=rwc", dir.join("read.db").display()))
}

impl Rebuild {
    pub fn run(self) -> Result<()> {
        let (registry, _) = super::open(&self.dir)?;
        let snapshot = Snapshot::of(&registry.model());
        let url = url(&self.dir, self.read_model);
        let done = tokio::runtime::Runtime::new()?.block_on(async {
            let read = ReadModel::open(&url).await?;
            let rows = read.rebuild(&snapshot).await?;
            Ok::<_, miyun_registry::Error>((rows, read.counts().await?))
        })?;
        let mut text = format!("{} rows written\n", done.0);
        for (table, n) in done.1 {
            text += &format!("{table} {n}\n");
        }
        line(&text)
    }
}

impl Serve {
    pub fn run(self) -> Result<()> {
        tracing_subscriber::fmt()
            .with_env_filter(
                tracing_subscriber::EnvFilter::try_from_default_env()
                    .unwrap_or_else(|_| "info".into()),
            )
            .with_writer(std::io::stderr)
            .init();
        let (registry, recovery) = super::open(&self.dir)?;
        eprintln!("{recovery}");
        let registry = Arc::new(registry);
        let mut mirrors = Vec::new();
        for path in &self.mirror {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let name = path
                .file_stem()
                .map_or_else(|| "mirror".into(), |n| n.to_string_lossy().into_owned());
            let m = mirror::read(&name, &path.display().to_string(), &text);
            eprintln!(
                "mirror {name}: {} units, {} blocks, {} problems",
                m.units.len(),
                m.blocks.len(),
                m.problems.len()
            );
            mirrors.push(m);
        }
        let url = url(&self.dir, self.read_model);
        let base = self
            .base
            .unwrap_or_else(|| format!("http://{}", self.listen));
        tokio::runtime::Runtime::new()?.block_on(async {
            let desk = begin(registry, &url, mirrors, base).await?;
            let listener = tokio::net::TcpListener::bind(self.listen).await?;
            eprintln!("http://{}/", listener.local_addr()?);
            axum::serve(listener, standalone(desk))
                .with_graceful_shutdown(async {
                    // Without a signal handler the process ends at once, which the journal survives.
                    let _ = tokio::signal::ctrl_c().await;
                })
                .await?;
            Ok(())
        })
    }
}

/// The desk of an open registry, with its read model up to date and its clock ticking: what only the
/// passing of time makes due must not wait for somebody's request.
async fn begin(
    registry: Arc<Service>,
    url: &str,
    mirrors: Vec<mirror::Mirror>,
    base: String,
) -> Result<Arc<Desk>> {
    let read = ReadModel::open(url).await?;
    let desk = Desk::open(Arc::clone(&registry), read, mirrors, base).await?;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let registry = Arc::clone(&registry);
            match tokio::task::spawn_blocking(move || registry.tick()).await {
                Ok(Ok(_)) => {}
                Ok(Err(e)) => eprintln!("miyun: {e}"),
                Err(e) => eprintln!("miyun: {e}"),
            }
        }
    });
    Ok(desk)
}

/// The desk of the registry in a folder, for `miyun serve`.
pub async fn desk(
    dir: &std::path::Path,
    read_model: Option<String>,
    mirrors: Vec<mirror::Mirror>,
    base: String,
) -> Result<Arc<Desk>> {
    let (registry, recovery) = super::open(dir)?;
    eprintln!("registry: {recovery}");
    begin(Arc::new(registry), &url(dir, read_model), mirrors, base).await
}
