//! Choices and fresh ids that follow from a seed.

/// Length of Razorpay's ids after their prefix, and of its event ids.
pub(crate) const ID_BYTES: usize = 14;

/// The part of an id that identifies.
pub(crate) type BareId = [u8; ID_BYTES];

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many of an id's characters the counter fills: 62^11 is the first power above 2^64.
const COUNTED_BYTES: usize = 11;

/// `SplitMix64`: the counter that it mixes never repeats, and the mixing is one to one, so that ids
/// need not be remembered to be distinct.
pub(crate) struct Random {
    state: u64,
    /// The last characters of every id: two corpora of different seeds hardly ever share an id.
    mark: [u8; ID_BYTES - COUNTED_BYTES],
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let start = mix(seed);
        let mut mark = [0; ID_BYTES - COUNTED_BYTES];
        write_base_62(&mut mark, mix(!start));
        Self { state: start, mark }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// An index below `count`, which must not be 0.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        let product = u128::from(self.next()) * (count as u128);
        usize::try_from(product >> 64).expect("below a length")
    }

    /// An id that this stream gives only once.
    pub(crate) fn id(&mut self) -> BareId {
        let mut id = [0; ID_BYTES];
        write_base_62(&mut id[..COUNTED_BYTES], self.next());
        id[COUNTED_BYTES..].copy_from_slice(&self.mark);
        id
    }
}

fn write_base_62(place: &mut [u8], mut number: u64) {
    for byte in place {
        *byte = BASE_62[usize::try_from(number % 62).expect("below 62")];
        number /= 62;
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
