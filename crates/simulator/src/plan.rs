//! The deliveries to send, and their order.

use harkara_core::secret::Secret;

use crate::bodies::Bodies;
use crate::delivery::Signed;

/// The deliveries to plan.
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

/// Maximum deliveries in one plan: at two or three kilobytes each they are all held in memory.
pub const DELIVERIES_MAX: usize = 200_000;

/// A plan that is too large to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that makes {deliveries} deliveries, and one plan holds at most {DELIVERIES_MAX}")]
pub struct TooManyDeliveries {
    /// How many were asked for.
    pub deliveries: usize,
}

/// Plans the deliveries in the order of sending: one event of each name after another, `count` times
/// over, each duplicate right after its first, then shuffled if `reorder` is set.
///
/// The same options, seed and time give the same deliveries.
pub fn plan(
    options: &Options,
    secret: &Secret,
    seed: u64,
    now_seconds: i64,
) -> Result<Vec<Signed>, TooManyDeliveries> {
    let copies = if options.duplicate { 2 } else { 1 };
    let events = options.events.len().saturating_mul(options.count);
    let deliveries = events.saturating_mul(copies);
    if deliveries > DELIVERIES_MAX {
        return Err(TooManyDeliveries { deliveries });
    }
    let sign = if options.bad_signature {
        Signed::with_bad_signature
    } else {
        Signed::new
    };
    let mut bodies = Bodies::new(seed, now_seconds);
    let mut deliveries = Vec::with_capacity(deliveries);
    for _ in 0..options.count {
        for name in &options.events {
            let delivery = sign(bodies.event(name), secret);
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

    use super::{DELIVERIES_MAX, Options, Signed, TooManyDeliveries, plan};

    fn planned(count: usize, change: impl Fn(&mut Options)) -> Vec<Signed> {
        try_plan(count, change).unwrap()
    }

    fn try_plan(
        count: usize,
        change: impl Fn(&mut Options),
    ) -> Result<Vec<Signed>, TooManyDeliveries> {
        let mut options = Options {
            events: vec!["payment.captured".to_owned(), "refund.created".to_owned()],
            count,
            duplicate: false,
            reorder: false,
            bad_signature: false,
        };
        change(&mut options);
        plan(&options, &Secret::new("s"), 7, 1_790_000_000)
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
        let deliveries = planned(3, |_| {});
        let names: Vec<_> = deliveries.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["payment.captured", "refund.created"].repeat(3));
        assert_eq!(times_sent(&deliveries).len(), 6);
    }

    #[test]
    fn duplicates_are_the_same_delivery_again() {
        let deliveries = planned(3, |options| options.duplicate = true);
        assert_eq!(deliveries.len(), 12);
        assert!(deliveries.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn reordering_moves_deliveries_and_loses_none_and_is_the_same_for_the_same_seed() {
        let shuffle = |options: &mut Options| {
            options.duplicate = true;
            options.reorder = true;
        };
        let ordered = planned(20, |options| options.duplicate = true);
        let shuffled = planned(20, shuffle);
        assert_ne!(ordered, shuffled);
        assert_eq!(times_sent(&ordered), times_sent(&shuffled));
        assert_eq!(shuffled, planned(20, shuffle));
    }

    #[test]
    fn a_bad_signature_is_well_formed_and_wrong() {
        let deliveries = planned(3, |options| options.bad_signature = true);
        assert_eq!(deliveries.len(), 6);
        for delivery in deliveries {
            assert_eq!(delivery.signature.len(), 64);
            let right = sign(&Secret::new("s"), &delivery.body);
            assert_ne!(delivery.signature, right);
        }
    }

    #[test]
    fn a_plan_that_would_fill_the_memory_is_refused() {
        assert!(try_plan(DELIVERIES_MAX, |_| {}).is_err());
    }
}
