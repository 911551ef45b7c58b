//! The free pairs that merchants attach to their entities.

use serde_json::value::RawValue;

use crate::json::{EMPTY_LIST, encode, object};
use crate::random::Random;

/// Pairs in any language, or an empty list where there are none.
pub(crate) fn notes(random: &mut Random) -> Box<RawValue> {
    match random.between(0, 4) {
        0 => encode(object! { "cart": random.digits(9), "channel": "android" }),
        1 => encode(object! { "उपहार": "जन्मदिन मुबारक 🎁", "table": "Café – no. 7" }),
        2 => encode(object! { "path": "a/b\\c", "quote": "she said \"हाँ\"" }),
        _ => encode(EMPTY_LIST),
    }
}
