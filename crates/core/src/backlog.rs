//! The backlog: its size, its age and the time to drain it at the current rate.
//!
//! A lane's backlog is the entries in its stream, where each stays until its commit, and the due rows of the
//! ledger. Nothing here depends on the lag that Redis reports for a group, which is sometimes unknown and never
//! includes pending entries.

mod samples;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::lane::{LANES, Lane};

pub use samples::Samples;

/// The current rate is the mean over the samples of this window.
const RATE_WINDOW: Duration = Duration::from_secs(30);

/// The state of all lanes at one time. Everything about Redis is from the same instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The time by the clock of Redis, in microseconds since 1970.
    pub at_micros: u64,
    /// The streams, in the order of [`Lane::ALL`].
    pub streams: [StreamSample; LANES],
    /// The consumers of the streams.
    pub consumers: Consumers,
    /// The ledger; `None` if it was unavailable.
    pub ledger: Option<LedgerSample>,
}

/// A lane's stream. The default is a missing stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSample {
    /// Entries in the stream, pending or not.
    pub entries: u64,
    /// Entries claimed by a consumer.
    pub pending: u64,
    /// When the first entry was appended, in milliseconds since 1970 by the clock of Redis.
    pub oldest_millis: Option<u64>,
    /// Entries ever appended; `None` if the server does not count them (Redis before 7).
    pub appended: Option<u64>,
}

/// The consumers of the group, the same in every lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consumers {
    /// Consumers recently active in any lane.
    pub alive: u64,
    /// The others.
    pub stale: u64,
}

/// The due rows of the ledger, and its dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerSample {
    /// By lane, in the order of [`Lane::ALL`].
    pub lanes: [LedgerLane; LANES],
    /// Whether there were too many to count, so that their number is an estimate.
    pub estimated: bool,
    /// Dead letters, counted up to a bound.
    pub dead_letters: u64,
}

/// The due rows of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerLane {
    /// Their number.
    pub due: u64,
    /// How long the oldest has been due.
    pub oldest_age: Option<Duration>,
}

/// The backlog of all lanes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backlog {
    /// All lanes together.
    pub total: Figures,
    /// Each lane, in the order of [`Lane::ALL`].
    #[serde(serialize_with = "by_lane")]
    pub lanes: [Figures; LANES],
    /// The seconds over which the rates were measured; `None` before the second sample.
    pub rates_over_s: Option<f64>,
    /// Whether the ledger has too many due rows to count: `ledger_due` is then an estimate and their rates are
    /// unknown.
    pub ledger_estimated: bool,
    /// The consumers of the streams.
    pub consumers: Consumers,
    /// Dead letters, counted up to a bound; no part of the backlog. `None` if the ledger was unavailable.
    pub dead_letters: Option<u64>,
}

/// The figures of one lane or of all. `None` means unknown, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// `entries` plus `ledger_due`.
    pub backlog: Option<u64>,
    /// Entries in the stream: `undelivered` plus `pending`.
    pub entries: u64,
    /// Entries that no consumer has claimed.
    pub undelivered: u64,
    /// Entries that are claimed and not yet committed.
    pub pending: u64,
    /// Due rows of the ledger that are not leased.
    pub ledger_due: Option<u64>,
    /// Seconds since the oldest entry was appended or the oldest row came due; `None` without any.
    pub oldest_age_s: Option<f64>,
    /// Arrivals per second.
    pub arrivals_per_s: Option<f64>,
    /// Departures per second.
    pub drained_per_s: Option<f64>,
    /// Seconds until the backlog is drained at the current rate if nothing arrives: 0 without a backlog, `None` if
    /// nothing leaves.
    pub seconds_to_drain: Option<f64>,
}

/// Rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    arrivals_per_s: f64,
    drained_per_s: f64,
}

impl Figures {
    fn of_lane(sample: &Sample, lane: usize, rates: Option<Rates>) -> Self {
        let stream = &sample.streams[lane];
        let ledger = sample.ledger.map(|ledger| ledger.lanes[lane]);
        let entry_age = stream.oldest_millis.map(|millis| {
            Duration::from_micros(sample.at_micros.saturating_sub(millis.saturating_mul(1000)))
        });
        let row_age = ledger.and_then(|ledger| ledger.oldest_age);
        Self {
            backlog: ledger.map(|ledger| stream.entries.saturating_add(ledger.due)),
            entries: stream.entries,
            undelivered: stream.entries.saturating_sub(stream.pending),
            pending: stream.pending,
            ledger_due: ledger.map(|ledger| ledger.due),
            oldest_age_s: entry_age.max(row_age).map(seconds),
            ..Self::default()
        }
        .at(rates)
    }

    fn total(lanes: &[Self; LANES], rates: Option<Rates>) -> Self {
        let sum = |figure: fn(&Self) -> u64| lanes.iter().map(figure).sum();
        let sum_of_known = |figure: fn(&Self) -> Option<u64>| lanes.iter().map(figure).sum();
        let ages = lanes.iter().filter_map(|lane| lane.oldest_age_s);
        Self {
            backlog: sum_of_known(|lane| lane.backlog),
            entries: sum(|lane| lane.entries),
            undelivered: sum(|lane| lane.undelivered),
            pending: sum(|lane| lane.pending),
            ledger_due: sum_of_known(|lane| lane.ledger_due),
            oldest_age_s: ages.max_by(f64::total_cmp),
            ..Self::default()
        }
        .at(rates)
    }

    fn at(self, rates: Option<Rates>) -> Self {
        Self {
            arrivals_per_s: rates.map(|rates| to_millis(rates.arrivals_per_s)),
            drained_per_s: rates.map(|rates| to_millis(rates.drained_per_s)),
            seconds_to_drain: match (self.backlog, rates) {
                (Some(0), _) => Some(0.0),
                (Some(backlog), Some(rates)) if rates.drained_per_s > 0.0 => {
                    // Rounded up: 0 means no backlog.
                    Some((float(backlog) / rates.drained_per_s * 1000.0).ceil() / 1000.0)
                }
                _ => None,
            },
            ..self
        }
    }
}

fn by_lane<S: Serializer>(lanes: &[Figures; LANES], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(LANES))?;
    for lane in Lane::ALL {
        map.serialize_entry(lane.as_str(), &lanes[lane.index()])?;
    }
    map.end()
}

fn seconds(duration: Duration) -> f64 {
    to_millis(duration.as_secs_f64())
}

/// Rounds to thousandths.
fn to_millis(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no backlog comes near 2^53, and a rate need not be exact"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
