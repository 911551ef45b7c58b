//! What the words on the command line ask for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

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
    rounds: Option<u32>,
    /// Seconds of one run of the generator at full speed; runs at a fixed rate take at least twice that.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Events of one run of the worker.
    #[arg(long, value_name = "N")]
    events: Option<usize>,
    /// Deliveries a second of the whole road; several are measured one after another.
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_values_t = [15_000.0])]
    e2e_rates: Vec<f64>,
    /// A smoke of seconds: one short round of everything. Its figures mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also drain a backlog of two million entries.
    #[arg(long)]
    long: bool,
    /// Measure only variants whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the report as JSON too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the plots as SVG into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plots: Option<PathBuf>,
    /// Others use the servers too: change no setting of theirs.
    #[arg(long, hide = true)]
    shared_servers: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the program does besides measuring.
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

/// A step of a delivery that no other process takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl Operation {
    /// Its name on the command line and in the stored counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Fold => "fold",
        }
    }
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Everything.
    All,
    /// Receiving.
    Ingress,
    /// Committing.
    Worker,
    /// Starting, and CPU time while nothing is delivered.
    Footprint,
    /// The whole road.
    E2e,
    /// What people would use instead.
    Peer,
}

/// A server that does only a part of what the ingress does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReferenceServer {
    /// Reads the body and answers.
    Noop,
    /// Reads the body, verifies its signature and answers.
    Verify,
}

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Extent {
    pub(crate) quick: bool,
    pub(crate) long: bool,
    pub(crate) rounds_ingress: u32,
    pub(crate) rounds_others: u32,
    /// One run of the generator at full speed.
    pub(crate) closed: Duration,
    /// One run at a fixed rate.
    pub(crate) open: Duration,
    /// One run of the whole road.
    pub(crate) e2e: Duration,
    pub(crate) e2e_rates: Vec<f64>,
    /// One look at idle processes.
    pub(crate) idle: Duration,
    /// Before the measured part of a run.
    pub(crate) warm_up: Duration,
    /// Events of one run of the worker.
    pub(crate) worker_events: usize,
    /// Jobs of one run of the peer's worker.
    pub(crate) peer_jobs: usize,
    pub(crate) filter: Option<String>,
    pub(crate) shared_servers: bool,
}

/// The two million of the long backlog.
pub(crate) const LONG_BACKLOG: usize = 2_000_000;

impl Arguments {
    pub(crate) fn extent(&self) -> Extent {
        let filter = self.filter.clone();
        let shared_servers = self.shared_servers;
        if self.quick {
            return Extent {
                quick: true,
                long: false,
                rounds_ingress: self.rounds.unwrap_or(1),
                rounds_others: self.rounds.unwrap_or(1),
                closed: Duration::from_millis(500),
                open: Duration::from_millis(500),
                e2e: Duration::from_secs(1),
                e2e_rates: vec![500.0],
                idle: Duration::from_secs(1),
                warm_up: Duration::from_millis(50),
                worker_events: self.events.unwrap_or(5_000),
                peer_jobs: 500,
                filter,
                shared_servers,
            };
        }
        let closed = Duration::from_secs_f64(self.seconds);
        Extent {
            quick: false,
            long: self.long,
            rounds_ingress: self.rounds.unwrap_or(5),
            rounds_others: self.rounds.unwrap_or(3),
            closed,
            open: closed * 2,
            e2e: closed * 4,
            e2e_rates: self.e2e_rates.clone(),
            idle: closed,
            warm_up: Duration::from_secs(1),
            worker_events: self.events.unwrap_or(200_000),
            peer_jobs: 10_000,
            filter,
            shared_servers,
        }
    }
}

impl Extent {
    /// Whether a variant is to be measured.
    pub(crate) fn includes(&self, variant: &str) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| variant.contains(filter.as_str()))
    }
}

impl Part {
    /// Whether `part` is to be measured where this was asked for.
    pub(crate) fn covers(self, part: Self) -> bool {
        self == Self::All || self == part
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0.1 to 3600".to_owned()),
    }
}
