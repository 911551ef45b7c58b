//! Which deliveries to send, and in which order.

use harkara_core::secret::Secret;

use crate::bodies::Bodies;
use crate::delivery::{Signed, Signing};

/// What to send.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the events.
    pub events: Vec<String>,
    /// How many distinct events of each name.
    pub count: usize,
    /// Every delivery is sent twice, under the same event id, as retries are.
    pub duplicate: bool,
    /// The deliveries are sent in any order.
    pub reorder: bool,
    /// Every delivery carries a wrong signature.
    pub bad_signature: bool,
}

/// Most deliveries in one plan: at two or three kilobytes each they are all held in memory.
pub const DELIVERIES_MAX: usize = 200_000;

/// A plan that is too large to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that makes {deliveries} deliveries, and one plan holds at most {DELIVERIES_MAX}")]
pub struct TooManyDeliveries {
    /// How many were asked for.
    pub deliveries: usize,
}

/// The deliveries in the order in which to send them: one event of each name after another, `count`
/// times over, each duplicate right after its first, then shuffled where that is asked for.
///
/// The same options, seed and time give the same deliveries.
pub fn plan(
    options: &Options,
    secret: &Secret,
    seed: u64,
    now_seconds: i64,
) -> Result<Vec<Signed>, TooManyDeliveries> {
    let copies = if options.duplicate { 2 } else { 1 };
    let total = options
        .events
        .len()
        .saturating_mul(options.count)
        .saturating_mul(copies);
    if total > DELIVERIES_MAX {
        return Err(TooManyDeliveries { deliveries: total });
    }
    let signing = if options.bad_signature {
        Signing::Wrong
    } else {
        Signing::Right
    };
    let mut bodies = Bodies::new(seed, now_seconds);
    let mut deliveries = Vec::with_capacity(total);
    for _ in 0..options.count {
        for name in &options.events {
            let delivery = Signed::with(signing, bodies.event(name), secret);
            deliveries.extend(std::iter::repeat_n(delivery, copies));
        }
    }
    if options.reorder {
        bodies.random().shuffle(&mut deliveries);
    }
    Ok(deliveries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harkara_core::secret::Secret;
    use harkara_core::signature::sign;

    use super::{DELIVERIES_MAX, Options, Signed, plan};

    fn options() -> Options {
        let events = ["payment.captured", "refund.created"]
            .map(str::to_owned)
            .to_vec();
        Options {
            events,
            count: 3,
            duplicate: false,
            reorder: false,
            bad_signature: false,
        }
    }

    fn planned(options: &Options) -> Vec<Signed> {
        plan(options, &Secret::new("s"), 7, 1_790_000_000).unwrap()
    }

    fn times_sent(deliveries: &[Signed]) -> BTreeMap<&str, usize> {
        let mut times = BTreeMap::new();
        for delivery in deliveries {
            *times.entry(delivery.event_id.as_str()).or_default() += 1;
        }
        times
    }

    #[test]
    fn each_event_is_sent_count_times_under_distinct_ids() {
        let deliveries = planned(&options());
        let names: Vec<_> = deliveries.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["payment.captured", "refund.created"].repeat(3));
        assert_eq!(times_sent(&deliveries).len(), 6);
    }

    #[test]
    fn duplicates_are_the_same_delivery_again() {
        let deliveries = planned(&Options {
            duplicate: true,
            ..options()
        });
        assert_eq!(deliveries.len(), 12);
        assert!(deliveries.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn reordering_moves_deliveries_and_loses_none() {
        let options = Options {
            count: 20,
            duplicate: true,
            ..options()
        };
        let ordered = planned(&options);
        let shuffled = planned(&Options {
            reorder: true,
            ..options
        });
        assert_ne!(ordered, shuffled);
        assert_eq!(times_sent(&ordered), times_sent(&shuffled));
    }

    #[test]
    fn a_bad_signature_is_well_formed_and_wrong() {
        for delivery in planned(&Options {
            bad_signature: true,
            ..options()
        }) {
            let signature = delivery.signature.unwrap();
            assert_eq!(signature.len(), 64);
            assert_ne!(signature, sign(&Secret::new("s"), &delivery.body));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let options = Options {
            reorder: true,
            ..options()
        };
        assert_eq!(planned(&options), planned(&options));
    }

    #[test]
    fn a_plan_that_would_fill_the_memory_is_refused() {
        let options = Options {
            count: DELIVERIES_MAX,
            ..options()
        };
        assert!(plan(&options, &Secret::new("s"), 7, 0).is_err());
    }
}
