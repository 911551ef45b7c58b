//! Fresh ids in Razorpay's form.

use harkara_simulator::random::{BASE_62, ID_CHARACTERS, Random};

/// The part of an id that identifies.
pub(crate) type BareId = [u8; ID_CHARACTERS];

/// How many of an id's characters are its time.
const TIME_BYTES: usize = 10;

/// The epoch of the time in an id: 1 January 2014, UTC.
const EPOCH_SECONDS: u64 = 1_388_534_400;

/// Ids that pass in a second of their time on average.
const IDS_PER_SECOND: u64 = 25_000;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A stream of distinct ids in order of time.
///
/// Ten characters of an id are the nanoseconds since 2014, in base 62, and four are random: decoded so,
/// the ids in Razorpay's published sample bodies give their entity's `created_at` to the second
/// (`pay_DESlfW9H8K9uqM` 1567674599, `plink_QflcnnZqCekuvL` 1749618314). So new ids are at the end of an
/// index, where they are cheap to insert; random ones would cost more than real ones.
pub(crate) struct Ids {
    nanos: u64,
    random: Random,
}

impl Ids {
    /// Ids from `now_seconds` (Unix time) on.
    pub(crate) fn from(now_seconds: i64, seed: u64) -> Self {
        let since_epoch = u64::try_from(now_seconds)
            .unwrap_or_default()
            .saturating_sub(EPOCH_SECONDS);
        Self {
            nanos: since_epoch * NANOS_PER_SECOND,
            random: Random::new(!seed),
        }
    }

    /// The next id.
    pub(crate) fn next(&mut self) -> BareId {
        let mean = NANOS_PER_SECOND / IDS_PER_SECOND;
        self.nanos += 1 + self.random.below(2 * mean);
        let mut id = [0; ID_CHARACTERS];
        write_base_62(&mut id[..TIME_BYTES], self.nanos);
        write_base_62(&mut id[TIME_BYTES..], self.random.below(u64::MAX));
        id
    }
}

/// Writes the last digits of a number, the highest first.
fn write_base_62(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = BASE_62[usize::try_from(number % 62).expect("below 62")];
        number /= 62;
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, TIME_BYTES};

    #[test]
    fn ids_are_distinct_and_in_order_and_begin_with_their_time() {
        // The payment in Razorpay's sample of `payment.authorized` was created then.
        let mut ids = Ids::from(1_567_674_599, 1);
        let mut last = ids.next();
        assert!(last.starts_with(b"DESlf"), "{last:?}");
        for _ in 0..10_000 {
            let next = ids.next();
            assert!(next[..TIME_BYTES] > last[..TIME_BYTES]);
            last = next;
        }
    }
}
