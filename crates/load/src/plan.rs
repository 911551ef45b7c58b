//! Plans a run: fresh deliveries at a fixed rate, and among them everything a receiver must handle.

use std::time::Duration;

use harkara_simulator::random::Random;

/// When deliveries are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Deliveries a second.
    pub rate_per_s: f64,
    /// How long deliveries become due.
    pub duration: Duration,
    /// Times of a higher rate.
    pub bursts: Option<Bursts>,
}

/// At the end of each period the rate is higher, for [`BURST_LASTS`] or half of a shorter period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The period.
    pub every: Duration,
    /// The factor of the rate.
    pub factor: f64,
}

/// How long a burst lasts.
pub const BURST_LASTS: Duration = Duration::from_secs(1);

/// The percentage of deliveries that are unusual, in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Injected {
    /// Resend a delivery of at most a second before: same event id, same bytes.
    pub duplicates: f64,
    /// Change places with one that is due up to [`REORDER_WITHIN`] later.
    pub reordered: f64,
    /// Carry a signature by a wrong secret, one that is malformed, or none, in turn.
    pub bad_signatures: f64,
    /// Carry a signature by the old secret.
    pub old_secret: f64,
    /// Arrive in pieces over some 0.4 s.
    pub slow: f64,
}

/// Longest time between a delivery and its duplicate, and by which reordering moves one.
pub const REORDER_WITHIN: Duration = Duration::from_secs(1);

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRequest {
    /// When, counted from the start.
    pub due: Duration,
    /// Which delivery of the corpus.
    pub delivery: usize,
    /// Its signature.
    pub signing: Signing,
    /// Whether it is sent in pieces.
    pub slow: bool,
    /// Whether an earlier request has the same delivery.
    pub duplicate: bool,
}

/// How a delivery is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signing {
    /// By the endpoint's secret.
    Right,
    /// By its secret before the last rotation.
    Old,
    /// By a secret that is not the endpoint's.
    WrongSecret,
    /// The header is not a signature.
    Malformed,
    /// There is no header.
    Missing,
}

/// The requests of a run, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// In order of time.
    pub requests: Vec<PlannedRequest>,
    /// How many distinct deliveries they have: the corpus must hold as many.
    pub deliveries: usize,
}

/// Why a run cannot be planned.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A rate that is not a number above 0.
    #[error("a rate is a number above 0, not {0}")]
    Rate(f64),
    /// More than fits into memory.
    #[error("that is more than {REQUESTS_MAX} deliveries, which is what one run holds in memory")]
    TooMany,
}

/// Maximum requests of a run: with their bodies they take some 2 GB.
pub const REQUESTS_MAX: usize = 1_000_000;

const BAD: [Signing; 3] = [Signing::WrongSecret, Signing::Malformed, Signing::Missing];

impl Signing {
    /// Whether a receiver must accept it.
    #[must_use]
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Right | Self::Old)
    }
}

impl LoadPlan {
    /// Plans a run; the same arguments give the same plan.
    pub fn new(pace: &Pace, injected: &Injected, seed: u64) -> Result<Self, PlanError> {
        let mut random = Random::new(seed);
        let mut plan = Self {
            requests: Vec::new(),
            deliveries: 0,
        };
        let mut bad = BAD.into_iter().cycle();
        for due in pace.dues()? {
            let original = random
                .percent(injected.duplicates)
                .then(|| plan.resendable(&mut random, due))
                .flatten();
            let slow = random.percent(injected.slow);
            let request = if let Some(original) = original {
                PlannedRequest {
                    due,
                    slow,
                    duplicate: true,
                    ..original
                }
            } else {
                let is_bad = random.percent(injected.bad_signatures);
                let signing = match is_bad.then(|| bad.next()).flatten() {
                    Some(bad) => bad,
                    None if random.percent(injected.old_secret) => Signing::Old,
                    None => Signing::Right,
                };
                plan.deliveries += 1;
                PlannedRequest {
                    due,
                    delivery: plan.deliveries - 1,
                    signing,
                    slow,
                    duplicate: false,
                }
            };
            plan.requests.push(request);
        }
        plan.reorder(&mut random, injected.reordered);
        Ok(plan)
    }

    /// One of the requests near enough before `due`, if it is validly signed.
    fn resendable(&self, random: &mut Random, due: Duration) -> Option<PlannedRequest> {
        let is_early = |request: &PlannedRequest| request.due + REORDER_WITHIN < due;
        let near = &self.requests[self.requests.partition_point(is_early)..];
        let request = *near.get(random.index(near.len().max(1)))?;
        request.signing.is_valid().then_some(request)
    }

    fn reorder(&mut self, random: &mut Random, percent: f64) {
        for at in 0..self.requests.len() {
            if !random.percent(percent) {
                continue;
            }
            let due = self.requests[at].due;
            let is_near = |other: &PlannedRequest| other.due <= due + REORDER_WITHIN;
            let near = self.requests[at..].partition_point(is_near);
            let other = at + random.index(near);
            let other_due = self.requests[other].due;
            self.requests.swap(at, other);
            self.requests[at].due = due;
            self.requests[other].due = other_due;
        }
    }
}

impl Pace {
    /// When deliveries are due.
    fn dues(&self) -> Result<Vec<Duration>, PlanError> {
        let burst_rate = self.rate_per_s * self.bursts.map_or(1.0, |bursts| bursts.factor);
        for rate in [self.rate_per_s, burst_rate] {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(PlanError::Rate(rate));
            }
        }
        let mut dues = Vec::new();
        let mut at = 0.0;
        // Sums of fractions miss the end by a little.
        let end = self.duration.as_secs_f64() - 1e-9;
        while at < end {
            if dues.len() == REQUESTS_MAX {
                return Err(PlanError::TooMany);
            }
            dues.push(Duration::from_secs_f64(at));
            let is_burst = self.is_burst(at);
            at += 1.0
                / if is_burst {
                    burst_rate
                } else {
                    self.rate_per_s
                };
        }
        Ok(dues)
    }

    fn is_burst(&self, seconds: f64) -> bool {
        self.bursts.is_some_and(|bursts| {
            let every = bursts.every.as_secs_f64();
            let lasts = BURST_LASTS.as_secs_f64().min(every / 2.0);
            seconds % every >= every - lasts
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::{Bursts, Injected, LoadPlan, Pace, PlanError, Signing};

    fn pace(rate_per_s: f64, seconds: u64) -> Pace {
        Pace {
            rate_per_s,
            duration: Duration::from_secs(seconds),
            bursts: None,
        }
    }

    /// Of 10,000 requests.
    fn plan(injected: Injected) -> LoadPlan {
        let plan = LoadPlan::new(&pace(1_000.0, 10), &injected, 7).unwrap();
        assert_eq!(plan.requests.len(), 10_000);
        plan
    }

    #[test]
    fn without_anything_injected_each_delivery_is_sent_once_in_order_at_the_rate() {
        let plan = plan(Injected::default());
        assert_eq!(plan.deliveries, 10_000);
        assert!(plan.requests.iter().map(|r| r.delivery).eq(0..10_000));
        assert!(plan.requests.iter().all(|r| r.signing == Signing::Right));
        assert_eq!(plan.requests[5_000].due.as_millis(), 5_000);
    }

    #[test]
    fn duplicates_have_their_percentage_and_repeat_only_valid_deliveries() {
        let plan = plan(Injected {
            duplicates: 10.0,
            bad_signatures: 5.0,
            reordered: 20.0,
            ..Injected::default()
        });
        let duplicates: Vec<_> = plan.requests.iter().filter(|r| r.duplicate).collect();
        let count = duplicates.len();
        assert!((800..1_100).contains(&count), "{count}");
        assert_eq!(plan.deliveries + count, 10_000);
        assert!(duplicates.iter().all(|r| r.signing.is_valid()));
    }

    #[test]
    fn bad_signatures_are_of_every_kind_and_one_delivery_has_one_signature() {
        let plan = plan(Injected {
            bad_signatures: 9.0,
            old_secret: 10.0,
            duplicates: 10.0,
            ..Injected::default()
        });
        let mut by_signing: BTreeMap<Signing, BTreeSet<usize>> = BTreeMap::new();
        for request in &plan.requests {
            let deliveries = by_signing.entry(request.signing).or_default();
            deliveries.insert(request.delivery);
        }
        assert_eq!(by_signing.len(), 5);
        let all: usize = by_signing.values().map(BTreeSet::len).sum();
        assert_eq!(all, plan.deliveries);
        assert!((200..400).contains(&by_signing[&Signing::Missing].len()));
    }

    #[test]
    fn reordering_moves_deliveries_and_loses_none() {
        let plan = plan(Injected {
            reordered: 30.0,
            ..Injected::default()
        });
        assert!(plan.requests.is_sorted_by_key(|r| r.due));
        let requests = plan.requests.iter().enumerate();
        let moved = requests.filter(|(at, request)| request.delivery != *at);
        assert!(moved.count() > 3_000);
        let all: BTreeSet<_> = plan.requests.iter().map(|r| r.delivery).collect();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn a_burst_ends_each_period() {
        let bursts = Some(Bursts {
            every: Duration::from_secs(5),
            factor: 3.0,
        });
        let pace = Pace {
            bursts,
            ..pace(100.0, 10)
        };
        let plan = LoadPlan::new(&pace, &Injected::default(), 1).unwrap();
        for (second, expected) in [(3, 98..=102), (4, 295..=303), (9, 295..=303)] {
            let in_second = plan.requests.iter().filter(|r| r.due.as_secs() == second);
            let in_second = in_second.count();
            assert!(expected.contains(&in_second), "{in_second} in {second}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_too_much_is_refused() {
        let injected = Injected {
            duplicates: 5.0,
            reordered: 5.0,
            slow: 1.0,
            ..Injected::default()
        };
        assert_eq!(plan(injected), plan(injected));
        let too_many = LoadPlan::new(&pace(100_000.0, 60), &injected, 7);
        assert_eq!(too_many, Err(PlanError::TooMany));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let plan = LoadPlan::new(&pace(rate, 1), &injected, 7);
            assert!(plan.is_err(), "{rate}");
        }
    }
}
