//! Choices that follow from a seed, and the alphabet and length of Razorpay's ids.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

/// A stream of choices: the same for the same seed, on every platform and with every build.
pub struct Random(Xoshiro256PlusPlus);

/// The alphabet of Razorpay's ids, each character at the index of its value as a digit.
pub const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of Razorpay's ids after their prefix, and of its event ids.
pub const ID_CHARACTERS: usize = 14;

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(..bound)
    }

    /// An index below `count`, which must not be 0.
    pub fn index(&mut self, count: usize) -> usize {
        self.0.random_range(..count)
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: f64) -> bool {
        self.0.random::<f64>() * 100.0 < percent
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// True once in `times` on average.
    pub(crate) fn once_in(&mut self, times: u32) -> bool {
        self.0.random_ratio(1, times)
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.0).expect("there is a choice")
    }

    /// `count` decimal digits, the first of them not 0.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        let first = self.characters(1, b"123456789");
        first + &self.characters(count - 1, b"0123456789")
    }

    /// `count` capital letters.
    pub(crate) fn capitals(&mut self, count: usize) -> String {
        self.characters(count, &BASE_62[10..36])
    }

    /// The part of an id that identifies: 14 base-62 characters.
    pub(crate) fn bare_id(&mut self) -> String {
        self.characters(ID_CHARACTERS, BASE_62)
    }

    /// An id: its prefix and 14 base-62 characters.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        prefix.to_owned() + &self.bare_id()
    }

    /// Brings `items` into any order, each equally likely.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    fn characters(&mut self, count: usize, alphabet: &[u8]) -> String {
        (0..count)
            .map(|_| char::from(self.pick(alphabet)))
            .collect()
    }
}
