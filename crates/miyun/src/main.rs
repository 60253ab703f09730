//! The command line: files, clock and terminal. Everything that computes lives in the crates below.
#![allow(missing_docs)]

mod cmd;
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
    /// Look at the data for what is wrong with them: stuck, copied, inverted or missing values,
    /// jumps, shifted clocks, confused units, lost daily courses.
    ///
    /// Nothing is deleted or edited. New findings are kept beside the data, those that no longer
    /// hold are marked as withdrawn.
    ///
    /// Examples: miyun forensics; miyun forensics --of beijing --period 2016-12 --kind jump --format csv
    Forensics(cmd::forensics::Forensics),
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
    /// Serve the pages, on your own data or a simulated city.
    Serve(Box<cmd::serve::Serve>),
    /// Write a simulated city as files.
    Simulate(cmd::simulate::Simulate),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lake = cli.lake.clone().unwrap_or_else(|| cmd::LAKE.into());
    let done = match cli.command {
        Command::Rulebook(c) => c.run(),
        Command::Import(c) => c.run(&lake),
        Command::Forensics(c) => c.run(&lake),
        Command::Sql(c) => c.run(&lake),
        Command::Air(c) => c.run(&lake),
        Command::Why(c) => c.run(&lake),
        Command::Replay(c) => c.run(&lake),
        Command::Plan(c) => c.run(&lake),
        Command::Serve(c) => c.run(cli.lake.as_deref()),
        Command::Simulate(c) => c.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("miyun: {e:#}");
            ExitCode::FAILURE
        }
    }
}
