//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::bench::PREPARED_MAX;

/// Measures every stage of Harkara on private servers, side by side with its references and peers.
///
/// Started by `cargo dev bench`, which provides the servers and the binaries.
#[derive(Parser)]
#[command(
    name = "harkara-bench",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value_t = Part::All)]
    pub(crate) part: Part,
    /// Rounds in which all variants take their turns; without it 5 for the ingress, 3 for the others.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: Option<u32>,
    /// Seconds of one run of the generator at full speed; runs at a fixed rate take at least twice that.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Events of one run of the worker.
    #[arg(long, value_name = "N", value_parser = events)]
    pub(crate) events: Option<usize>,
    /// Deliveries per second from end to end; several are measured one after another.
    #[arg(
        long,
        value_name = "RATE",
        value_delimiter = ',',
        default_values_t = [15_000.0],
        value_parser = rate
    )]
    pub(crate) e2e_rates: Vec<f64>,
    /// Rows of the ledger that operators' commands read; 20 million take some 60 GB.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(crate) rows: u64,
    /// A smoke of seconds: one short round of everything. Its figures mean nothing.
    #[arg(long, conflicts_with_all = ["seconds", "e2e_rates", "long"])]
    pub(crate) quick: bool,
    /// Also drain a backlog of two million entries.
    #[arg(long)]
    pub(crate) long: bool,
    /// Measure only variants whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Write the report as JSON too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the plots as SVG into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plots: Option<PathBuf>,
    /// Others use the servers too: change no setting of theirs.
    #[arg(long, hide = true)]
    pub(crate) shared_servers: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the program does other than measuring.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Be a reference server.
    #[command(hide = true)]
    Serve {
        /// What it does with a request.
        kind: ReferenceServer,
    },
    /// Count the instructions of verifying, encoding, decoding and folding, and fail where a count
    /// has grown; needs valgrind and no servers.
    Instructions {
        /// Store the counts of this build.
        #[arg(long)]
        accept: bool,
    },
    /// Do an operation over and over.
    #[command(hide = true)]
    Operate {
        /// What is done.
        operation: Operation,
        /// How often.
        n: usize,
    },
}

/// A step of a delivery that involves no other process.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    Serialize,
    Deserialize,
    strum::Display,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Operation {
    /// Verifying the signature.
    Verify,
    /// Reading the event's name and writing the fields of the entry.
    Encode,
    /// Reading the fields of the entry and the event in the body.
    Decode,
    /// Folding events into rows, in batches.
    Fold,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Everything but operators' commands, for which a ledger has to be filled.
    All,
    /// Receiving.
    Ingress,
    /// Committing.
    Worker,
    /// Starting, and CPU time while nothing is delivered.
    Footprint,
    /// What traces and metrics cost.
    Telemetry,
    /// Everything from end to end.
    E2e,
    /// What people would use instead.
    Peer,
    /// Operators' commands on a large ledger.
    Operators,
}

/// A server that does only a part of what the ingress does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, strum::Display)]
pub(crate) enum ReferenceServer {
    /// Reads the body and answers.
    #[strum(to_string = "no-op server")]
    Noop,
    /// Reads the body, verifies its signature and answers.
    #[strum(to_string = "verify-only server")]
    Verify,
    /// Receives traces and metrics of OTLP over HTTP, and keeps none.
    #[strum(to_string = "collector")]
    Collector,
}

impl Part {
    /// Whether this request includes `part`.
    pub(crate) fn covers(self, part: Self) -> bool {
        self == part || (self == Self::All && part != Self::Operators)
    }
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (0.1..=3600.0).contains(seconds))
        .ok_or("expected a number of seconds from 0.1 to 3600")
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok();
    rate.filter(|rate: &f64| *rate > 0.0 && rate.is_finite())
        .ok_or("expected a number of deliveries a second above 0")
}

fn events(text: &str) -> Result<usize, String> {
    let events = text.parse().ok();
    events
        .filter(|events| (1..=PREPARED_MAX).contains(events))
        .ok_or_else(|| format!("expected a whole number from 1 to {PREPARED_MAX}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Arguments;

    #[test]
    fn figures_out_of_range_and_arguments_that_the_quick_form_would_ignore_are_refused() {
        let is_valid = |arguments: &str| {
            let arguments = ["harkara-bench"].into_iter().chain(arguments.split(' '));
            Arguments::try_parse_from(arguments).is_ok()
        };
        for valid in [
            "--events 1 --e2e-rates 0.5,1000",
            "--quick --events 100 --rounds 2",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "--events 0",
            "--events 1000000000",
            "--e2e-rates 0",
            "--e2e-rates 1000,-1",
            "--e2e-rates inf",
            "--seconds 0",
            "--quick --seconds 5",
            "--quick --e2e-rates 100",
            "--quick --long",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }
}
