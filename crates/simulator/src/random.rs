//! Choices that follow from a seed, and the letters and the length of Razorpay's ids.

/// A stream of choices, the same for the same seed with every build.
///
/// `SplitMix64`, written out here because a library's small generator may change with its version,
/// and then a seed from an old report would no longer give the same bodies.
pub struct Random(u64);

/// Letters of Razorpay's ids, each at the place of its value as a digit.
pub const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of Razorpay's ids after their prefix, and of its event ids.
pub const ID_CHARACTERS: usize = 14;

impl Random {
    /// The stream of a seed; those of neighbouring seeds begin far apart.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give overlapping streams.
        Self(mix(seed))
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product is even enough, and takes no division.
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of 128 bits")
    }

    /// An index below `count`, which must not be 0.
    pub fn index(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a length fits 64 bits");
        usize::try_from(self.below(count)).expect("below a length")
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        assert!(low <= high, "an empty range has no number to choose");
        let span = high.abs_diff(low) + 1;
        low.wrapping_add_unsigned(self.below(span))
    }

    /// True once in `times` on average.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// `count` decimal digits, the first of them not 0.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|at| {
                self.pick(if at == 0 {
                    b"123456789".as_slice()
                } else {
                    b"0123456789"
                })
            })
            .map(char::from)
            .collect()
    }

    /// `count` capital letters.
    pub(crate) fn capitals(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(self.pick(&BASE_62[10..36])))
            .collect()
    }

    /// The part of an id that identifies: 14 base-62 characters.
    pub(crate) fn bare_id(&mut self) -> String {
        self.id("")
    }

    /// An id: its prefix and 14 base-62 characters.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + ID_CHARACTERS);
        id.push_str(prefix);
        id.extend((0..ID_CHARACTERS).map(|_| char::from(self.pick(BASE_62))));
        id
    }

    /// Brings `items` into any order, each equally likely.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for unplaced in (1..items.len()).rev() {
            items.swap(unplaced, self.index(unplaced + 1));
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::new(1);
        let drawn: Vec<_> = (0..200).map(|_| random.between(-1, 2)).collect();
        assert!([-1, 0, 1, 2].iter().all(|number| drawn.contains(number)));
        assert!(drawn.iter().all(|number| (-1..=2).contains(number)));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<_> = (0..50).collect();
        Random::new(2).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
