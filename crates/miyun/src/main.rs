//! The command line: files, clock and terminal. Everything that computes lives in the crates below.
#![allow(missing_docs)]

mod cmd;
mod config;
mod out;
mod places;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Import observations; re-importing a file changes nothing.
    Import(cmd::import::Import),
    /// Query the lake in SQL, with Miyun's statistics as functions.
    Sql(cmd::sql::Sql),
    /// Assess ambient air.
    #[command(subcommand)]
    Air(cmd::air::Air),
    /// Why a figure is what it is: rule, clause, citation, rows, digest.
    Why(cmd::why::Why),
    /// List what changes its verdict under another edition.
    Replay(cmd::replay::Replay),
    /// Where a plan's measures stand.
    #[command(subcommand)]
    Plan(cmd::plan::Plan),
    /// Serve the platform, on your own data or a simulated city.
    Serve(Box<cmd::serve::Serve>),
    /// Write a simulated city as files.
    Simulate(cmd::simulate::Simulate),
    /// Check installation, disk, clock, rulebook, lake and records.
    Doctor(cmd::doctor::Doctor),
    /// Copy lake and records while the platform runs.
    Backup(cmd::backup::Backup),
    /// Fill an empty lake and empty records from a backup.
    Restore(cmd::backup::Restore),
    /// Add people, give and take roles, set passwords.
    #[command(subcommand)]
    User(cmd::user::User),
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
        Command::Sql(c) => c.run(&lake),
        Command::Air(c) => c.run(&lake),
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
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("miyun: {e:#}");
            ExitCode::FAILURE
        }
    }
}
