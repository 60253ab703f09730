//! `miyun gateway`: runs the receiver, and speaks with one that runs through its journals.

mod ask;
mod beside;
mod folder;
mod lake;
mod proof;
mod registered;
mod run;

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;
use miyun_gateway::Registry;
use miyun_gateway::server::paths;

use self::ask::{AskCommand, Commands};
use self::proof::{Prove, Replay, Roots, Verify};
pub use self::registered::register_fleet;
use self::registered::{Devices, Fleet, Refuse, Set};
use self::run::Run;
pub use self::run::{Begun, How, begin};

/// Folder of the gateway below the lake's.
const FOLDER: &str = miyun_web::devices::FOLDER;

#[derive(Subcommand)]
pub enum Gateway {
    Run(Run),
    Devices(Devices),
    Set(Set),
    Refuse(Refuse),
    RegisterFleet(Fleet),
    Ask(AskCommand),
    Commands(Commands),
    Roots(Roots),
    Prove(Prove),
    Verify(Verify),
    Replay(Replay),
}

impl Gateway {
    pub fn run(self, lake: &Path) -> Result<()> {
        let dir = lake.join(FOLDER);
        match self {
            Self::Run(c) => c.run(lake),
            Self::Devices(c) => c.run(&dir),
            Self::Set(c) => c.run(&dir),
            Self::Refuse(c) => c.run(&dir),
            Self::RegisterFleet(c) => c.run(&dir),
            Self::Ask(c) => c.run(&dir),
            Self::Commands(c) => c.run(&dir),
            Self::Roots(c) => c.run(&dir),
            Self::Prove(c) => c.run(&dir),
            Self::Verify(c) => c.run(),
            Self::Replay(c) => c.run(&dir),
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn when(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// When a gateway of this lake last wrote down what it heard.
pub fn last_heard(lake: &Path) -> Option<jiff::Timestamp> {
    let log = std::fs::read_dir(paths::log(&lake.join(FOLDER))).ok()?;
    let written = log.filter_map(|f| f.ok()?.metadata().ok()?.modified().ok());
    written.max()?.try_into().ok()
}

fn registry(dir: &Path) -> Result<Registry> {
    Ok(Registry::open(&paths::registry(dir), usize::MAX)?)
}
