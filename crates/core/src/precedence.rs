//! Which of two snapshots of one entity prevails, whichever arrived first.
//!
//! Razorpay guarantees no order, so the decision depends on the two snapshots alone: first the progress of
//! the entity's status, then Razorpay's time of the event, then fixed tie-breaks.

use crate::time::EventTime;

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

/// The progress of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Standing {
    /// A lower rank never replaces a higher one; within a rank, time decides.
    pub rank: u8,
    /// Order among statuses of equal rank at the same second.
    pub step: u8,
}

const fn standing(rank: u8, step: u8) -> Standing {
    Standing { rank, step }
}

/// The standing of a status, by kind of entity (its payload key).
///
/// From the documented state machines. An unknown status ranks just above the first state; a kind without a
/// state machine has one rank, so time decides.
#[must_use]
pub(crate) fn standing_of(kind: &str, status: Option<&str>) -> Standing {
    let Some(status) = status else {
        return Standing::default();
    };
    match kind {
        "payment" => match status {
            "created" => standing(0, 0),
            // Not final: a late answer of the bank or a retry may follow.
            "failed" => standing(2, 0),
            "authorized" => standing(3, 0),
            "captured" => standing(4, 0),
            "refunded" => standing(5, 0),
            _ => standing(1, 0),
        },
        // Paid is final, even after refunds.
        "order" => match status {
            "created" => standing(0, 0),
            "paid" => standing(2, 0),
            _ => standing(1, 0),
        },
        "refund" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(3, 0),
            _ => standing(1, 0),
        },
        "payment.downtime" | "payout.downtime" => match status {
            "scheduled" => standing(0, 0),
            "updated" => standing(1, 1),
            "cancelled" => standing(2, 0),
            "resolved" => standing(2, 1),
            _ => standing(1, 0),
        },
        "invoice" => match status {
            "draft" => standing(0, 0),
            "partially_paid" => standing(2, 0),
            "expired" => standing(3, 0),
            "cancelled" => standing(3, 1),
            "deleted" => standing(3, 2),
            "paid" => standing(4, 0),
            _ => standing(1, 0),
        },
        "payment_link" => match status {
            "created" => standing(0, 0),
            "partially_paid" => standing(2, 0),
            "expired" => standing(3, 0),
            "cancelled" => standing(3, 1),
            "paid" => standing(4, 0),
            _ => standing(1, 0),
        },
        "fund_account.validation" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "completed" => standing(2, 1),
            _ => standing(1, 0),
        },
        _ => standing_of_generic(kind, status),
    }
}

fn standing_of_generic(kind: &str, status: &str) -> Standing {
    match kind {
        "subscription" => match status {
            "created" => standing(0, 0),
            "authenticated" => standing(1, 0),
            "cancelled" | "expired" => standing(3, 0),
            "completed" => standing(3, 1),
            _ => standing(2, 0),
        },
        "settlement" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(2, 1),
            "reversed" => standing(3, 0),
            _ => standing(1, 0),
        },
        "transfer" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(2, 1),
            "partially_reversed" => standing(3, 0),
            "reversed" => standing(4, 0),
            _ => standing(1, 0),
        },
        // Nothing follows processed or reversed.
        "payout" => match status {
            "pending" => standing(0, 0),
            "failed" | "rejected" | "cancelled" => standing(2, 0),
            "processed" => standing(3, 0),
            "reversed" => standing(4, 0),
            _ => standing(1, 0),
        },
        "payout_link" => match status {
            "pending" => standing(0, 0),
            "cancelled" | "rejected" | "expired" => standing(3, 0),
            "processed" => standing(3, 1),
            "processing" | "attempted" => standing(2, 0),
            _ => standing(1, 0),
        },
        "virtual_account" | "qr_code" => standing(u8::from(status == "closed"), 0),
        _ => Standing::default(),
    }
}

/// The standing of a dispute. A later phase takes precedence over an earlier one even if that ended, since a
/// won chargeback may be challenged again. Within a phase `won`, `lost` and `closed` are final; until then
/// the status may alternate between `open` and `under_review`.
#[must_use]
pub(crate) fn standing_of_dispute(phase: Option<&str>, status: &str) -> Standing {
    let phase = match phase {
        Some("fraud" | "retrieval") => 0,
        Some("pre_arbitration") => 2,
        Some("arbitration") => 3,
        _ => 1,
    };
    let (is_final, step) = match status {
        "under_review" => (false, 1),
        "closed" => (true, 0),
        "won" => (true, 1),
        "lost" => (true, 2),
        _ => (false, 0),
    };
    standing(phase * 2 + u8::from(is_final), step)
}

#[cfg(test)]
mod tests {
    use super::{Precedence, standing_of, standing_of_dispute};
    use crate::time::EventTime;

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
            super::standing(u8::MAX, u8::MAX),
            EventTime::from_seconds(4_102_444_799),
            true,
        );
        assert!(most.as_i64() > 0);
        let next = Precedence::new(super::standing(1, 0), None, false);
        assert!(
            Precedence::new(
                super::standing(0, u8::MAX),
                EventTime::from_seconds(4_102_444_799),
                true
            ) < next
        );
    }
}
