//! Sets of positions in a corpus.

use std::ops::Range;

/// Which positions of a corpus something happened to: one bit for each position of a run's range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    first: usize,
    words: Vec<u64>,
    len: usize,
}

const BITS: usize = u64::BITS as usize;

impl Positions {
    /// An empty set for positions of `range`.
    pub(crate) fn within(range: &Range<usize>) -> Self {
        Self {
            first: range.start,
            words: vec![0; range.len().div_ceil(BITS)],
            len: 0,
        }
    }

    pub(crate) fn insert(&mut self, position: usize) {
        let at = position - self.first;
        let bit = 1 << (at % BITS);
        let word = &mut self.words[at / BITS];
        self.len += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// How many positions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a position is among them.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        position.checked_sub(self.first).is_some_and(|at| {
            self.words
                .get(at / BITS)
                .is_some_and(|word| word >> (at % BITS) & 1 == 1)
        })
    }

    /// The positions, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let positions = self.first..self.first + self.words.len() * BITS;
        positions.filter(|position| self.contains(*position))
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let mut set = Positions::within(&(100..300));
        for position in [100, 163, 164, 299, 164] {
            set.insert(position);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [100, 163, 164, 299]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(299));
        for absent in [0, 99, 101, 300, 10_000] {
            assert!(!set.contains(absent), "{absent}");
        }
    }
}
