//! What a run sends when: fresh deliveries at a fixed rate, and among them what a receiver must bear.

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
    /// By how much the rate is multiplied.
    pub factor: f64,
}

/// How long a burst lasts.
pub const BURST_LASTS: Duration = Duration::from_secs(1);

/// How many of 100 deliveries are out of the ordinary, in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Injected {
    /// Another time what was sent at most a second before: same event id, same bytes.
    pub duplicates: f64,
    /// Change places with one that is due up to [`REORDER_WITHIN`] later.
    pub reordered: f64,
    /// Carry a signature by a wrong secret, one that is malformed, or none, in turn.
    pub badly_signed: f64,
    /// Carry a signature by the old secret.
    pub old_secret: f64,
    /// Come in pieces over some 0.4 s.
    pub slow: f64,
}

/// Duplicates come at most this long after what they repeat, and reordering moves nothing farther.
pub const REORDER_WITHIN: Duration = Duration::from_secs(1);

/// A request that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When, counted from the start.
    pub due: Duration,
    /// Which delivery of the corpus.
    pub delivery: usize,
    /// What its signature is.
    pub signing: Signing,
    /// Whether it comes in pieces.
    pub slow: bool,
    /// Whether an earlier sending has the same delivery.
    pub duplicate: bool,
}

/// By what a delivery is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// The endpoint's secret.
    Right,
    /// Its secret before the last rotation.
    Old,
    /// A secret that is not the endpoint's.
    WrongSecret,
    /// Nothing: the header is not a signature.
    Malformed,
    /// Nothing: there is no header.
    Missing,
}

/// The sendings of a run, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order of time.
    pub sendings: Vec<Sending>,
    /// How many distinct deliveries they are of: the corpus must hold as many.
    pub deliveries: usize,
}

/// Why nothing can be planned.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A rate that is no number or not above 0.
    #[error("a rate is a number above 0, not {0}")]
    Rate(f64),
    /// More than can be held in memory.
    #[error("that is more than {SENDINGS_MAX} deliveries, which is what one run holds in memory")]
    TooMany,
}

/// Most sendings of a run: with their bodies they take some 2 GB.
pub const SENDINGS_MAX: usize = 1_000_000;

/// The ways in which a signature is bad.
const BAD: [Signing; 3] = [Signing::WrongSecret, Signing::Malformed, Signing::Missing];

impl Signing {
    /// Whether a receiver must take it.
    #[must_use]
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Right | Self::Old)
    }
}

impl Plan {
    /// Plans a run; the same arguments give the same plan.
    pub fn new(pace: &Pace, injected: &Injected, seed: u64) -> Result<Self, PlanError> {
        let mut random = Random::new(seed);
        let mut plan = Self {
            sendings: Vec::new(),
            deliveries: 0,
        };
        let mut bad = BAD.iter().cycle();
        let mut within = 0;
        for due in pace.dues()? {
            // The first sending that is still near enough to be repeated.
            while plan
                .sendings
                .get(within)
                .is_some_and(|first: &Sending| due > first.due + REORDER_WITHIN)
            {
                within += 1;
            }
            let repeated = draw(&mut random, injected.duplicates)
                .then(|| plan.repeatable(&mut random, within))
                .flatten();
            let slow = draw(&mut random, injected.slow);
            let sending = if let Some(first) = repeated {
                Sending {
                    due,
                    slow,
                    duplicate: true,
                    ..first
                }
            } else {
                let signing = if draw(&mut random, injected.badly_signed) {
                    *bad.next().expect("a cycle does not end")
                } else if draw(&mut random, injected.old_secret) {
                    Signing::Old
                } else {
                    Signing::Right
                };
                let delivery = plan.deliveries;
                plan.deliveries += 1;
                Sending {
                    due,
                    delivery,
                    signing,
                    slow,
                    duplicate: false,
                }
            };
            plan.sendings.push(sending);
        }
        plan.reorder(&mut random, injected.reordered);
        Ok(plan)
    }

    /// One of the sendings from `within` on, if it is validly signed.
    fn repeatable(&self, random: &mut Random, within: usize) -> Option<Sending> {
        let near = self
            .sendings
            .get(within..)
            .filter(|near| !near.is_empty())?;
        let sending = near[random.index(near.len())];
        sending.signing.is_valid().then_some(sending)
    }

    fn reorder(&mut self, random: &mut Random, percent: f64) {
        for at in 0..self.sendings.len() {
            if !draw(random, percent) {
                continue;
            }
            let due = self.sendings[at].due;
            let near =
                self.sendings[at..].partition_point(|other| other.due <= due + REORDER_WITHIN);
            let other = at + random.index(near);
            let other_due = self.sendings[other].due;
            self.sendings.swap(at, other);
            self.sendings[at].due = due;
            self.sendings[other].due = other_due;
        }
    }
}

impl Pace {
    /// When deliveries are due.
    fn dues(&self) -> Result<Vec<Duration>, PlanError> {
        let usable = |rate: f64| rate.is_finite() && rate > 0.0;
        let highest = self.rate_per_s * self.bursts.map_or(1.0, |bursts| bursts.factor);
        for rate in [self.rate_per_s, highest] {
            if !usable(rate) {
                return Err(PlanError::Rate(rate));
            }
        }
        let mut dues = Vec::new();
        let mut at = 0.0;
        // Sums of fractions miss the end by a little.
        let end = self.duration.as_secs_f64() - 1e-9;
        while at < end {
            if dues.len() == SENDINGS_MAX {
                return Err(PlanError::TooMany);
            }
            dues.push(Duration::from_secs_f64(at));
            at += 1.0 / self.rate_at(at);
        }
        Ok(dues)
    }

    fn rate_at(&self, seconds: f64) -> f64 {
        let Some(bursts) = self.bursts else {
            return self.rate_per_s;
        };
        let every = bursts.every.as_secs_f64();
        let lasts = BURST_LASTS.as_secs_f64().min(every / 2.0);
        if seconds % every >= every - lasts {
            self.rate_per_s * bursts.factor
        } else {
            self.rate_per_s
        }
    }
}

/// True in `percent` of 100 cases.
fn draw(random: &mut Random, percent: f64) -> bool {
    const PARTS: u32 = 1_000_000;
    let drawn = u32::try_from(random.below(u64::from(PARTS))).expect("below a million");
    f64::from(drawn) * 100.0 < percent * f64::from(PARTS)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::{Bursts, Injected, Pace, Plan, PlanError, Signing};

    fn pace(rate_per_s: f64, seconds: u64) -> Pace {
        Pace {
            rate_per_s,
            duration: Duration::from_secs(seconds),
            bursts: None,
        }
    }

    fn plan(injected: Injected) -> Plan {
        Plan::new(&pace(1_000.0, 10), &injected, 7).unwrap()
    }

    #[test]
    fn without_anything_injected_each_delivery_is_sent_once_in_order_at_the_rate() {
        let plan = plan(Injected::default());
        assert_eq!((plan.sendings.len(), plan.deliveries), (10_000, 10_000));
        assert!(plan.sendings.iter().map(|s| s.delivery).eq(0..10_000));
        assert!(plan.sendings.iter().all(|s| s.signing == Signing::Right));
        assert_eq!(plan.sendings[5_000].due.as_millis(), 5_000);
    }

    #[test]
    fn as_many_are_duplicates_as_was_asked_for_and_only_of_what_is_validly_signed() {
        let plan = plan(Injected {
            duplicates: 10.0,
            badly_signed: 5.0,
            reordered: 20.0,
            ..Injected::default()
        });
        assert_eq!(plan.sendings.len(), 10_000);
        let duplicates: Vec<_> = plan.sendings.iter().filter(|s| s.duplicate).collect();
        assert!(
            (800..1_100).contains(&duplicates.len()),
            "{}",
            duplicates.len()
        );
        assert_eq!(plan.deliveries + duplicates.len(), 10_000);
        assert!(duplicates.iter().all(|s| s.signing.is_valid()));
    }

    #[test]
    fn bad_signatures_are_of_every_kind_and_of_deliveries_of_their_own() {
        let plan = plan(Injected {
            badly_signed: 9.0,
            old_secret: 10.0,
            duplicates: 10.0,
            ..Injected::default()
        });
        let mut by_signing: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for sending in &plan.sendings {
            let of_kind = by_signing
                .entry(format!("{:?}", sending.signing))
                .or_default();
            of_kind.insert(sending.delivery);
        }
        let kinds: Vec<_> = by_signing.keys().map(String::as_str).collect();
        assert_eq!(
            kinds,
            ["Malformed", "Missing", "Old", "Right", "WrongSecret"]
        );
        let all: usize = by_signing.values().map(BTreeSet::len).sum();
        assert_eq!(all, plan.deliveries, "one delivery has one signature");
        assert!((200..400).contains(&by_signing["Missing"].len()));
    }

    #[test]
    fn reordering_moves_deliveries_and_loses_none() {
        let plan = plan(Injected {
            reordered: 30.0,
            ..Injected::default()
        });
        assert!(plan.sendings.is_sorted_by_key(|s| s.due));
        let moved = plan
            .sendings
            .iter()
            .enumerate()
            .filter(|(at, s)| s.delivery != *at);
        assert!(moved.count() > 3_000);
        let all: BTreeSet<_> = plan.sendings.iter().map(|s| s.delivery).collect();
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
        let plan = Plan::new(&pace, &Injected::default(), 1).unwrap();
        let in_second = |second: u64| {
            plan.sendings
                .iter()
                .filter(|s| s.due.as_secs() == second)
                .count()
        };
        assert!((98..=102).contains(&in_second(3)), "{}", in_second(3));
        assert!((295..=303).contains(&in_second(4)), "{}", in_second(4));
        assert!((295..=303).contains(&in_second(9)), "{}", in_second(9));
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
        let too_many = Plan::new(&pace(100_000.0, 60), &injected, 7);
        assert_eq!(too_many, Err(PlanError::TooMany));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Plan::new(&pace(rate, 1), &injected, 7).is_err(), "{rate}");
        }
    }
}
