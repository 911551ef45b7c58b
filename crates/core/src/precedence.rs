//! Which of two snapshots of one entity prevails, whichever arrived first.
//!
//! Razorpay guarantees no order, so the decision depends on the two snapshots alone: first the progress of
//! the entity's status, then Razorpay's time of the event, then fixed tie-breaks.

mod standing;

use crate::time::EventTime;

pub use standing::{Standing, reference_markdown};
pub(crate) use standing::{standing_of, standing_of_dispute};

/// The precedence of a snapshot among all snapshots of its entity; the greatest prevails.
///
/// From the most significant part: the status's rank, the event's time in whole seconds (0 without one), the
/// status's step among those of equal rank, and whether the event is about this entity (its own event
/// describes an entity more fully than a copy in another). Event ids break remaining ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precedence(i64);

const TIME_BITS: u32 = 33;
const STEP_BITS: u32 = 8;

impl Precedence {
    /// Packs the parts into one number that a database can compare.
    #[must_use]
    pub fn new(standing: Standing, at: Option<EventTime>, is_primary: bool) -> Self {
        // EventTime ends in 2100, within 33 bits.
        let seconds = at.map_or(0, EventTime::seconds);
        let with_time = i64::from(standing.rank) << TIME_BITS | seconds;
        let with_step = with_time << STEP_BITS | i64::from(standing.step);
        Self(with_step << 1 | i64::from(is_primary))
    }

    /// The number as stored.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Precedence, Standing, standing_of, standing_of_dispute};
    use crate::time::EventTime;

    fn standing(rank: u8, step: u8) -> Standing {
        Standing { rank, step }
    }

    fn payment(status: &str, seconds: i64) -> Precedence {
        Precedence::new(
            standing_of("payment", Some(status)),
            EventTime::from_seconds(seconds),
            true,
        )
    }

    fn dispute(phase: &str, status: &str, seconds: i64) -> Precedence {
        Precedence::new(
            standing_of_dispute(Some(phase), status),
            EventTime::from_seconds(seconds),
            true,
        )
    }

    #[test]
    fn the_progress_of_a_payment_takes_precedence_over_time() {
        let states = [
            "created",
            "pending",
            "failed",
            "authorized",
            "captured",
            "refunded",
        ];
        for pair in states.windows(2) {
            assert!(
                payment(pair[0], 4_102_444_799) < payment(pair[1], 1),
                "{pair:?}"
            );
        }
        assert!(payment("captured", 10) < payment("captured", 11));
    }

    #[test]
    fn a_dispute_may_return_to_open_until_it_ends() {
        assert!(dispute("chargeback", "under_review", 10) < dispute("chargeback", "open", 11));
        assert!(dispute("chargeback", "open", 99) < dispute("chargeback", "won", 11));
        assert!(dispute("chargeback", "won", 99) < dispute("pre_arbitration", "open", 11));
    }

    #[test]
    fn an_order_never_leaves_paid() {
        let order = |status, at| {
            Precedence::new(
                standing_of("order", Some(status)),
                EventTime::from_seconds(at),
                false,
            )
        };
        assert!(order("attempted", 99) < order("paid", 1));
    }

    #[test]
    fn every_part_fits_and_stays_positive() {
        let most = Precedence::new(
            standing(u8::MAX, u8::MAX),
            EventTime::from_seconds(4_102_444_799),
            true,
        );
        assert!(most.as_i64() > 0);
        let next = Precedence::new(standing(1, 0), None, false);
        assert!(
            Precedence::new(
                standing(0, u8::MAX),
                EventTime::from_seconds(4_102_444_799),
                true
            ) < next
        );
    }
}
