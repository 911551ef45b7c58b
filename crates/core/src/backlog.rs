//! The backlog: how much waits or is in hand, how old it is, and how long it takes at the present rate.
//!
//! A lane's backlog is what is in its stream, where every entry stays until its commit, and the rows of
//! the ledger that are due. Nothing here depends on what Redis calls the lag of a group, which is
//! sometimes unknown and never holds what is in hand.

mod samples;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::lane::{LANES, Lane};

pub use samples::Samples;

/// The present rate is the mean over the samples of so long.
pub const RATE_WINDOW: Duration = Duration::from_secs(30);

/// What one sample found, everything about Redis at the same instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When, by the clock of Redis, in microseconds since 1970.
    pub at_micros: u64,
    /// The streams, in the order of [`Lane::ALL`].
    pub streams: [StreamSample; LANES],
    /// Who claims from them.
    pub consumers: Consumers,
    /// The ledger; `None` where it could not be asked.
    pub ledger: Option<LedgerSample>,
}

/// A lane's stream. The default is that of one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSample {
    /// Entries in the stream, pending or not.
    pub entries: u64,
    /// Those of them that a consumer has claimed.
    pub pending: u64,
    /// Milliseconds since 1970 of the first entry, by the clock of Redis.
    pub oldest_millis: Option<u64>,
    /// Entries ever appended; `None` where the server does not count them (Redis before 7).
    pub appended: Option<u64>,
}

/// The consumers of the group, which are the same in every lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consumers {
    /// Those that have shown a sign of life of late in one of the lanes.
    pub alive: u64,
    /// Those that have not.
    pub stale: u64,
}

/// The rows of the ledger that are due, and its dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerSample {
    /// By lane, in the order of [`Lane::ALL`].
    pub lanes: [LedgerLane; LANES],
    /// Whether there were too many to be counted, so that their number is an estimate.
    pub estimated: bool,
    /// Events with status failed, as far as they were counted.
    pub dead_letters: u64,
}

/// A lane's rows of the ledger that are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerLane {
    /// How many.
    pub due: u64,
    /// How long the first of them has been due.
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
    /// Over how many seconds the rates were taken; `None` before the second sample.
    pub rates_over_s: Option<f64>,
    /// Whether the ledger has too many rows due to count them: `ledger_due` is then an estimate, and how fast
    /// they leave is not known.
    pub ledger_estimated: bool,
    /// Who works on it.
    pub consumers: Consumers,
    /// Events of the ledger with status failed, as far as they were counted; no part of the backlog. `None`
    /// where the ledger could not be asked.
    pub dead_letters: Option<u64>,
}

/// Figures of a lane, or of all. What is `None` is not known, which is never the same as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// All that waits or is in hand: `entries` and `ledger_due`.
    pub backlog: Option<u64>,
    /// Entries in the stream: `undelivered` and `pending`.
    pub entries: u64,
    /// Entries that no consumer has claimed.
    pub undelivered: u64,
    /// Entries that a consumer has claimed and that are not committed yet.
    pub pending: u64,
    /// Rows of the ledger that are due and not leased.
    pub ledger_due: Option<u64>,
    /// Seconds since the oldest of all this was appended or came due; `None` where there is none.
    pub oldest_age_s: Option<f64>,
    /// What comes in a second.
    pub arrivals_per_s: Option<f64>,
    /// What leaves in a second.
    pub drained_per_s: Option<f64>,
    /// In how many seconds the backlog is gone if as much leaves as now and nothing comes: 0 without a
    /// backlog, `None` where there is one and nothing leaves.
    pub seconds_to_drain: Option<f64>,
}

/// What came and left in a second.
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
                    // Rounded up: 0 says that there is nothing.
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

/// Rounded to thousandths, which is as fine as anybody reads.
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
