//! The command line: files, clock and terminal. Everything that computes lives in the crates below.
#![allow(missing_docs)]

mod cmd;
mod config;
mod out;
mod places;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Reading a lake and answering pages allocate much and briefly; the system's allocator took an
/// eighth of the time of `miyun air region`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs a city's environmental plan: evidence, assessment, plan; every figure answers why.
///
/// Exit codes: 0 done; 1 something failed or a check found problems; 2 the command line is wrong.
#[derive(Parser)]
#[command(name = "miyun", version, max_term_width = 100)]
struct Cli {
    /// Folder of the lake; miyun-data if not given.
    #[arg(long, global = true, env = "MIYUN_LAKE")]
    lake: Option<PathBuf>,
    /// Configuration file; miyun.toml here if there is one.
    #[arg(long, global = true, env = "MIYUN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The law as data: check, list, show, resolve, compare, export.
    #[command(subcommand)]
    Rulebook(cmd::rulebook::Rulebook),
    Import(cmd::import::Import),
    /// Look at the data for what is wrong with them: stuck, copied, inverted or missing values,
    /// jumps, shifted clocks, confused units, lost daily courses.
    ///
    /// Nothing is deleted or edited. New findings are kept beside the data, those that no longer
    /// hold are marked as withdrawn.
    ///
    /// Examples: miyun forensics; miyun forensics --of beijing --period 2016-12 --kind jump --format csv
    Forensics(cmd::forensics::Forensics),
    Sql(cmd::sql::Sql),
    /// The lake's files.
    #[command(subcommand)]
    Lake(cmd::lake::LakeCommand),
    /// Assess ambient air.
    #[command(subcommand)]
    Air(cmd::air::Air),
    /// The receiver of HJ 212 whose 9014 means "on disk": run it, its devices, commands, proofs.
    #[command(subcommand)]
    Gateway(cmd::gateway::Gateway),
    /// HJ 212 for vendors and testers: decode, send, listen, codes.
    #[command(subcommand)]
    Hj212(cmd::hj212::Hj212),
    Why(cmd::why::Why),
    Replay(cmd::replay::Replay),
    /// Where a plan's measures stand.
    #[command(subcommand)]
    Plan(cmd::plan::Plan),
    Serve(Box<cmd::serve::Serve>),
    Simulate(cmd::simulate::Simulate),
    Doctor(cmd::doctor::Doctor),
    Backup(cmd::backup::Backup),
    Restore(cmd::backup::Restore),
    /// Add people, give and take roles, set passwords.
    #[command(subcommand)]
    User(cmd::user::User),
    /// The carbon registry: found it, sign and submit requests, look, export, serve.
    #[command(subcommand)]
    Registry(Box<cmd::registry::Registry>),
    /// The journal under the registry: verify, prove, export, rebuild.
    #[command(subcommand)]
    Ledger(cmd::ledger::Ledger),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let named = cli.lake.clone();
    let config = || config::Config::read(cli.config.as_deref(), named.as_deref());
    // Commands on the lake follow the configuration too, if there is one.
    let lake = match (&named, &cli.command) {
        (Some(lake), _) => lake.clone(),
        // The doctor says himself what is wrong with a configuration.
        (None, Command::Doctor(_)) => cmd::LAKE.into(),
        (None, _) => match config() {
            Ok(c) => c.lake,
            Err(e) => {
                eprintln!("miyun: {e:#}");
                return ExitCode::FAILURE;
            }
        },
    };
    let done = match cli.command {
        Command::Rulebook(c) => c.run(),
        Command::Import(c) => c.run(&lake),
        Command::Forensics(c) => c.run(&lake),
        Command::Sql(c) => c.run(&lake),
        Command::Lake(c) => c.run(&lake),
        Command::Air(c) => c.run(&lake),
        Command::Gateway(c) => c.run(&lake),
        Command::Hj212(c) => c.run(),
        Command::Why(c) => c.run(&lake),
        Command::Replay(c) => c.run(&lake),
        Command::Plan(c) => c.run(&lake),
        Command::Serve(c) => {
            config().and_then(|f| c.run(f, named.is_some() || cli.config.is_some()))
        }
        Command::Simulate(c) => c.run(),
        Command::Doctor(c) => c.run(config()),
        Command::Backup(c) => config().and_then(|f| c.run(&f)),
        Command::Restore(c) => config().and_then(|f| c.run(&f)),
        Command::User(c) => config().and_then(|f| c.run(&f)),
        Command::Registry(c) => c.run(),
        Command::Ledger(c) => c.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("miyun: {e:#}");
            ExitCode::FAILURE
        }
    }
}
