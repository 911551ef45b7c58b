//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

/// Breaks what Harkara depends on while deliveries arrive, and audits what became of every one.
///
/// Each fault has servers and processes of its own: the shipped binaries, a real Redis and a real
/// PostgreSQL, with links between them that can be cut, silenced and slowed. `harkara load` delivers and
/// audits. Prints a table in Markdown; fails where anything was lost, took effect twice or was answered
/// otherwise than promised.
#[derive(Debug, Parser)]
#[command(name = "harkara-faults", bin_name = "cargo dev faults", version)]
pub(crate) struct Arguments {
    /// Only these faults; `--list` names them
    #[arg(value_name = "FAULT")]
    pub(crate) faults: Vec<String>,
    /// Name the faults and what each one promises
    #[arg(long)]
    pub(crate) list: bool,
    /// A few seconds and few deliveries for each fault, as the tests do it
    #[arg(long)]
    pub(crate) short: bool,
    /// Decides the deliveries, the moments and the victims; drawn and printed where it is not given
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How often everything is done, each time with the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) rounds: u64,
    /// Write what was found as JSON too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
