use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_core::subject::SubjectKind;
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;
use miyun_web::server::{Site, router};

use super::import::{How, import};

/// Serve the pages, on your own data or a simulated city.
///
/// Examples: miyun serve --demo;
/// miyun serve --data data/prsa --city beijing --interval hour-end
#[derive(Args)]
pub struct Serve {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8212")]
    listen: SocketAddr,
    /// Makes a simulated city first, in a lake of its own (miyun-demo) unless --lake names one.
    #[arg(long)]
    demo: bool,
    /// Seed of the simulated city.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Files or folders to import first.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    how: How,
}

impl Serve {
    pub fn run(self, lake: Option<&Path>) -> Result<()> {
        let folder = lake.map_or_else(
            || PathBuf::from(if self.demo { "miyun-demo" } else { super::LAKE }),
            Path::to_owned,
        );
        if self.demo {
            super::simulate::import(&folder, self.seed)?;
        }
        if !self.data.is_empty() {
            let mut lake = Lake::open(&folder)?;
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
        }
        let lake = Lake::open(&folder)?;
        let subjects = lake.subjects();
        if !subjects.iter().any(|s| s.kind == SubjectKind::City) {
            bail!(
                "{} has no city yet: add --demo, or --data with your files",
                folder.display()
            );
        }
        let book = Rulebook::embedded();
        // Plans of the lake's cities first; the others are still worth reading.
        let mut plans = miyun_plan::embedded(book.vocabulary());
        let here = |p: &miyun_plan::Plan| {
            let of = |i: &miyun_plan::Indicator| subjects.iter().any(|s| s.id == i.subject);
            p.measures.iter().flat_map(|m| &m.indicators).any(of)
        };
        plans.sort_by_key(|p| !here(p));
        let site = Arc::new(Site::new(lake, book, plans, super::today()));
        tokio::runtime::Runtime::new()?.block_on(async {
            let listener = tokio::net::TcpListener::bind(self.listen)
                .await
                .with_context(|| format!("--listen {}", self.listen))?;
            eprintln!("open http://{}/ (stop with Ctrl-C)", listener.local_addr()?);
            miyun_web::server::run(listener, router(site))
                .await
                .context("serving")
        })
    }
}
