//! The latest samples, and the rates between them.

use std::collections::VecDeque;

use super::{Backlog, Figures, RATE_WINDOW, Rates, Sample, StreamSample, float};
use crate::lane::LANES;

/// The samples of the current rate, in order of time.
///
/// The departures from a stream are its appends less its length. So the rates cover all consumers without their
/// help; deleted and trimmed entries count as departures. Of the ledger only the difference is known, which is the
/// least that arrived or left; if its number is estimated, not even that.
#[derive(Clone, Debug, Default)]
pub struct Samples(VecDeque<Sample>);

impl Samples {
    /// Adds the latest sample and drops those outside the window: all, if a counter or the clock of Redis has
    /// gone back since, such as after the loss of a stream.
    pub fn add(&mut self, sample: Sample) {
        if self.0.back().is_some_and(|last| !sample.continues(last)) {
            self.0.clear();
        }
        self.0.push_back(sample);
        // Two samples make a rate, however far apart.
        while self.0.len() > 2
            && self.micros() > u64::try_from(RATE_WINDOW.as_micros()).unwrap_or(u64::MAX)
        {
            self.0.pop_front();
        }
    }

    /// The backlog at the latest sample; `None` before the first.
    #[must_use]
    pub fn backlog(&self) -> Option<Backlog> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let elapsed_s = (self.0.len() > 1).then(|| float(self.micros()) / 1e6);
        let rates: [Option<Rates>; LANES] =
            std::array::from_fn(|lane| Rates::between(first, last, lane, elapsed_s?));
        let lanes = std::array::from_fn(|lane| Figures::of_lane(last, lane, rates[lane]));
        let total = rates
            .into_iter()
            .try_fold(Rates::default(), |sum, rates| Some(sum.and(rates?)));
        Some(Backlog {
            total: Figures::total(&lanes, total),
            lanes,
            rates_over_s: elapsed_s.map(super::to_millis),
            ledger_estimated: last.ledger.is_some_and(|ledger| ledger.estimated),
            consumers: last.consumers,
            dead_letters: last.ledger.map(|ledger| ledger.dead_letters),
        })
    }

    fn micros(&self) -> u64 {
        match (self.0.front(), self.0.back()) {
            (Some(first), Some(last)) => last.at_micros.saturating_sub(first.at_micros),
            _ => 0,
        }
    }
}

impl Sample {
    /// Whether rates since an earlier sample are meaningful.
    fn continues(&self, earlier: &Self) -> bool {
        let streams = self.streams.iter().zip(&earlier.streams);
        self.at_micros > earlier.at_micros
            && streams.into_iter().all(|(now, then)| {
                now.appended >= then.appended && now.departed() >= then.departed()
            })
    }
}

impl StreamSample {
    /// Entries appended and no longer in the stream.
    fn departed(&self) -> Option<u64> {
        self.appended
            .map(|appended| appended.saturating_sub(self.entries))
    }
}

impl Rates {
    fn between(first: &Sample, last: &Sample, lane: usize, elapsed_s: f64) -> Option<Self> {
        let (then, now) = (&first.streams[lane], &last.streams[lane]);
        let appended = now.appended?.checked_sub(then.appended?)?;
        let departed = now.departed()?.checked_sub(then.departed()?)?;
        let (arrived, left) = match (first.ledger, last.ledger) {
            (Some(then), Some(now)) => {
                let is_estimated = then.estimated || now.estimated;
                let (then, now) = (then.lanes[lane].due, now.lanes[lane].due);
                // The difference of estimates means nothing.
                if is_estimated && (then, now) != (0, 0) {
                    return None;
                }
                (now.saturating_sub(then), then.saturating_sub(now))
            }
            _ => (0, 0),
        };
        Some(Self {
            arrivals_per_s: float(appended.saturating_add(arrived)) / elapsed_s,
            drained_per_s: float(departed.saturating_add(left)) / elapsed_s,
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            arrivals_per_s: self.arrivals_per_s + other.arrivals_per_s,
            drained_per_s: self.drained_per_s + other.drained_per_s,
        }
    }
}
