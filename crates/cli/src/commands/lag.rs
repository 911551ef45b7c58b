//! `harkara lag`: how much waits, how old it is, and how long it takes.

use std::time::Duration;

use clap::Args;
use harkara_core::backlog::{Backlog, Consumers, Figures};
use harkara_core::lane::Lane;
use harkara_settings::Settings;
use harkara_storage::ledger::{DUE_COUNTED_MAX, due_backlog};
use harkara_streams::backlog::{Observer, Report};
use tokio::signal::ctrl_c;
use tokio::time::timeout;

use crate::arguments::span;
use crate::exit::Ending;
use crate::output::{self, Align, Table};
use harkara_operations::database;

/// Shortest time between two looks: what comes and leaves within less tells little of a rate.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Shows how much waits, how old it is, and how long it takes at the present rate
///
/// Looks twice, a while apart, and tells what came and left in between. With --watch it goes on, and
/// the rates are those of the last 30 seconds.
///
///   backlog     all that is not committed: unread, pending and due
///   unread      entries of the stream that no worker has claimed
///   pending     entries that a worker has claimed and not committed yet
///   due         rows of the ledger whose time has come: retries, replays, deliveries that Redis
///               could not take
///   oldest      how long the oldest of them has waited
///   drained in  how long the backlog takes if as much leaves as now and nothing comes; "never" where
///               something waits and nothing leaves
///
/// Below stand the consumers, alive or silent for too long, and how many events are dead letters.
///
/// The figures are those of all workers together, the same that GET /backlog answers at the admin
/// ports of ingress and worker. "?" stands for what is not known. Where Redis or PostgreSQL cannot be
/// asked, what is known is told all the same, and the exit code is 1.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct LagOptions {
    /// Time between two looks
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = interval)]
    interval: Duration,

    /// Goes on looking until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Prints one JSON document: an object, as /backlog answers it; with --watch one on each line
    #[arg(long)]
    json: bool,
}

/// What stands for a figure that is not known.
const UNKNOWN: &str = "?";

const EXAMPLES: &str = "\
Examples:
  harkara lag
  harkara lag --watch --interval 5s
  harkara lag --json";

fn interval(text: &str) -> Result<Duration, String> {
    let interval = span(text)?;
    if interval < INTERVAL_MIN {
        return Err("two looks are at least 100ms apart".to_owned());
    }
    Ok(interval)
}

/// Looks, waits, looks again and tells.
pub(crate) async fn run(settings: &Settings, options: &LagOptions) -> anyhow::Result<Ending> {
    let database = database::pool(&settings.postgres)?;
    let redis = harkara_streams::pool(&settings.redis);
    let mut observer = Observer::new(
        redis,
        settings.redis.partition,
        &settings.worker,
        move || {
            let database = database.clone();
            async move { due_backlog(&database, DUE_COUNTED_MAX).await }
        },
    );
    let first = observer.look().await;
    if !options.watch {
        // A Redis that does not answer is not waited for.
        let report = if first.present().is_some() {
            tokio::time::sleep(options.interval).await;
            observer.look().await
        } else {
            first
        };
        return tell(settings, &report, options);
    }
    while !interrupted_within(options.interval).await {
        tell(settings, &observer.look().await, options)?;
    }
    Ok(Ending::Done)
}

/// Waits so long, or until Ctrl-C.
async fn interrupted_within(wait: Duration) -> bool {
    // Where the signal cannot be listened for, it ends the process by itself.
    timeout(wait, ctrl_c())
        .await
        .is_ok_and(|listened| listened.is_ok())
}

fn tell(settings: &Settings, report: &Report, options: &LagOptions) -> anyhow::Result<Ending> {
    let faults = report.faults();
    if options.json && options.watch {
        output::line(serde_json::to_string(&report.told())?)?;
    } else if options.json {
        output::json(&report.told())?;
    } else if let Some(backlog) = report.present() {
        table(backlog).print()?;
        if backlog.ledger_estimated {
            output::line("the ledger has so many rows due that their number is an estimate")?;
        }
        output::line(around(backlog))?;
        if options.watch {
            output::line("")?;
        }
    }
    for (name, fault) in &faults {
        output::note(remedy(settings, name, fault));
    }
    Ok(if faults.is_empty() {
        Ending::Done
    } else {
        Ending::NotAllDone
    })
}

fn table(backlog: &Backlog) -> Table {
    let columns = [
        ("LANE", Align::Left),
        ("BACKLOG", Align::Right),
        ("UNREAD", Align::Right),
        ("PENDING", Align::Right),
        ("DUE", Align::Right),
        ("OLDEST", Align::Right),
        ("COMES/S", Align::Right),
        ("LEAVES/S", Align::Right),
        ("DRAINED IN", Align::Right),
    ];
    let mut table = Table::new(&columns);
    let lanes = Lane::ALL.map(|lane| (lane.as_str(), &backlog.lanes[lane.index()]));
    for (name, figures) in lanes.into_iter().chain([("total", &backlog.total)]) {
        table.row(row(name, figures));
    }
    table
}

/// Who works on the backlog, and what was given up.
fn around(backlog: &Backlog) -> String {
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
    let drained_in = match (figures.seconds_to_drain, figures.drained_per_s) {
        (Some(seconds), _) => for_people(seconds),
        // Something waits, as far as is known.
        (None, Some(_)) if figures.backlog.is_some() => "never".to_owned(),
        _ => UNKNOWN.to_owned(),
    };
    [
        name.to_owned(),
        known(figures.backlog),
        figures.undelivered.to_string(),
        figures.pending.to_string(),
        known(figures.ledger_due),
        figures.oldest_age_s.map(for_people).unwrap_or_default(),
        rate(figures.arrivals_per_s),
        rate(figures.drained_per_s),
        drained_in,
    ]
}

/// A span in the unit in which it is short.
fn for_people(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    match seconds {
        s if s < 2.0 * MINUTE => format!("{s:.1} s"),
        s if s < 2.0 * HOUR => format!("{:.1} min", s / MINUTE),
        s if s < 2.0 * DAY => format!("{:.1} h", s / HOUR),
        s => format!("{:.1} d", s / DAY),
    }
}

/// What could not be asked, and what to look at.
fn remedy(settings: &Settings, name: &str, fault: &str) -> String {
    let (server, address, setting) = match name {
        "redis" => (
            "Redis",
            harkara_streams::address(&settings.redis),
            "redis.url (HARKARA__REDIS__URL)",
        ),
        _ => (
            "PostgreSQL",
            database::address(&settings.postgres.url),
            "postgres.url (HARKARA__POSTGRES__URL)",
        ),
    };
    format!(
        "harkara: {server} at {address} could not be asked: {fault}; check that it runs and that {setting} names it"
    )
}

#[cfg(test)]
mod tests {
    use super::{Duration, for_people, interval};

    #[test]
    fn spans_are_told_in_the_unit_in_which_they_are_short() {
        for (seconds, told) in [
            (0.0, "0.0 s"),
            (119.9, "119.9 s"),
            (150.0, "2.5 min"),
            (9000.0, "2.5 h"),
            (604_800.0, "7.0 d"),
        ] {
            assert_eq!(for_people(seconds), told);
        }
    }

    #[test]
    fn two_looks_are_not_at_the_same_time() {
        assert_eq!(interval("100ms"), Ok(Duration::from_millis(100)));
        assert!(interval("99ms").is_err());
    }
}
