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
    /// Folder of the lake.
    #[arg(long, global = true, default_value = "miyun-data", env = "MIYUN_LAKE")]
    lake: PathBuf,
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
    /// The receiver of HJ 212 whose 9014 means "on disk": run it, its devices, commands, proofs.
    #[command(subcommand)]
    Gateway(cmd::gateway::Gateway),
    /// HJ 212 for vendors and testers: decode, send, listen, codes.
    #[command(subcommand)]
    Hj212(cmd::hj212::Hj212),
    /// Why a figure is what it is: rule, clause, citation, rows, digest.
    Why(cmd::why::Why),
    /// List what changes its verdict under another edition.
    Replay(cmd::replay::Replay),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Rulebook(c) => c.run(),
        Command::Import(c) => c.run(&cli.lake),
        Command::Sql(c) => c.run(&cli.lake),
        Command::Air(c) => c.run(&cli.lake),
        Command::Gateway(c) => c.run(&cli.lake),
        Command::Hj212(c) => c.run(),
        Command::Why(c) => c.run(&cli.lake),
        Command::Replay(c) => c.run(&cli.lake),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("miyun: {e:#}");
            ExitCode::FAILURE
        }
    }
}
