//! `harkara lag`.

use std::time::Duration;

use clap::Args;
use harkara_core::backlog::{Backlog, Consumers, Figures};
use harkara_core::lane::Lane;
use harkara_operations::backlog::{DUE_COUNTED_MAX, observer, unavailable};
use harkara_operations::wording::duration;
use harkara_settings::Settings;
use harkara_streams::backlog::Report;
use tokio::signal::ctrl_c;
use tokio::time::timeout;

use crate::exit::Ending;
use crate::output::{self, Table};

/// Shortest time between two samples: rates over less mean little.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Shows the backlog: how much waits, how old it is, and how fast it drains
///
/// Takes two samples, and computes the rates in between. With --watch it goes on, and the rates are
/// those of the last 30 seconds.
///
///   backlog     all that is not committed: unread, pending and due
///   unread      entries of the stream that no worker has claimed
///   pending     entries that a worker has claimed and not committed yet
///   due         rows of the ledger that are due: retries, replays, and deliveries stored while Redis
///               was unavailable
///   oldest      how long the oldest of them has waited
///   in/s        arrivals per second
///   out/s       commits per second
///   drained in  how long the backlog takes to drain at this rate if nothing arrives; "never" if
///               nothing drains
///
/// Below the table are the number of consumers, alive or silent for too long, and of dead letters.
///
/// The figures cover all workers, and are those of GET /backlog on the admin ports. "?" means unknown.
/// If Redis or PostgreSQL is unavailable, the command prints what it knows, and its exit code is 1.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct LagOptions {
    /// Time between two samples
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,

    /// Keeps sampling until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Prints one JSON document: an object, as /backlog answers it; with --watch one per line
    #[arg(long)]
    json: bool,
}

/// An unknown figure.
const UNKNOWN: &str = "?";

const EXAMPLES: &str = "\
Examples:
  harkara lag
  harkara lag --watch --interval 5s
  harkara lag --json";

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if interval < INTERVAL_MIN => {
            Err("samples are at least 100ms apart".to_owned())
        }
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

/// Samples, waits, samples again and prints.
pub(crate) async fn run(settings: &Settings, options: &LagOptions) -> anyhow::Result<Ending> {
    let mut observer = observer(settings)?;
    let first = observer.sample().await;
    if !options.watch {
        // Rates would need a Redis that answers.
        let report = if first.present().is_some() {
            tokio::time::sleep(options.interval).await;
            observer.sample().await
        } else {
            first
        };
        return print(settings, &report, options);
    }
    while !interrupted_within(options.interval).await {
        print(settings, &observer.sample().await, options)?;
    }
    Ok(Ending::Done)
}

/// Waits for the duration or Ctrl-C.
async fn interrupted_within(wait: Duration) -> bool {
    // Without a handler Ctrl-C ends the process.
    timeout(wait, ctrl_c())
        .await
        .is_ok_and(|signal| signal.is_ok())
}

fn print(settings: &Settings, report: &Report, options: &LagOptions) -> anyhow::Result<Ending> {
    if options.json && options.watch {
        output::json_line(&report.json())?;
    } else if options.json {
        output::json(&report.json())?;
    } else if let Some(backlog) = report.present() {
        table(backlog).print()?;
        if backlog.ledger_estimated {
            output::line(
                "too many rows of the ledger are due to count; their number is estimated",
            )?;
        }
        output::line(summary(backlog))?;
        if options.watch {
            output::line("")?;
        }
    }
    let unavailable = unavailable(settings, report);
    for dependency in &unavailable {
        output::note(format!("harkara: {dependency}; {}", dependency.remedy()));
    }
    Ok(Ending::of(unavailable.is_empty()))
}

fn table(backlog: &Backlog) -> Table {
    let columns = &[
        "LANE",
        "BACKLOG",
        "UNREAD",
        "PENDING",
        "DUE",
        "OLDEST",
        "IN/S",
        "OUT/S",
        "DRAINED IN",
    ];
    let mut table = Table::new(columns, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let lanes = Lane::ALL.map(|lane| (lane.as_str(), &backlog.lanes[lane.index()]));
    for (name, figures) in lanes.into_iter().chain([("total", &backlog.total)]) {
        table.row(row(name, figures));
    }
    table
}

fn summary(backlog: &Backlog) -> String {
    let Consumers { alive, stale } = backlog.consumers;
    let dead_letters = match backlog.dead_letters {
        None => UNKNOWN.to_owned(),
        Some(n) if n >= DUE_COUNTED_MAX => format!("{n} or more"),
        Some(n) => n.to_string(),
    };
    format!("consumers: {alive} alive, {stale} stale; dead letters: {dead_letters}")
}

fn row(name: &str, figures: &Figures) -> [String; 9] {
    let known = |number: Option<u64>| number.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string());
    let rate = |rate: Option<f64>| rate.map_or_else(|| UNKNOWN.to_owned(), |r| format!("{r:.1}"));
    let seconds =
        |seconds: f64| duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    let drained_in = match (figures.seconds_to_drain, figures.drained_per_s) {
        (Some(time), _) => seconds(time),
        // There is a backlog, as far as is known.
        (None, Some(_)) if figures.backlog.is_some() => "never".to_owned(),
        _ => UNKNOWN.to_owned(),
    };
    [
        name.to_owned(),
        known(figures.backlog),
        figures.undelivered.to_string(),
        figures.pending.to_string(),
        known(figures.ledger_due),
        figures.oldest_age_s.map(seconds).unwrap_or_default(),
        rate(figures.arrivals_per_s),
        rate(figures.drained_per_s),
        drained_in,
    ]
}
