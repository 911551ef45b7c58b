//! The free pairs that merchants attach to their entities.

use crate::json::{Json, list, object};
use crate::random::Random;

/// Notes as they come: an empty list where there are none, else pairs, in any language.
pub(crate) fn notes(random: &mut Random) -> Json {
    match random.between(0, 4) {
        0 => object! { "cart": random.digits(9), "channel": "android" },
        1 => object! { "उपहार": "जन्मदिन मुबारक 🎁", "table": "Café – no. 7" },
        2 => object! { "path": "a/b\\c", "quote": "she said \"हाँ\"" },
        _ => list![],
    }
}
