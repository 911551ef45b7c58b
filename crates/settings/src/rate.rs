//! Rate limits.

use std::num::NonZeroU32;

use crate::reader::SettingsReader;

/// A rate limit, per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained requests per second.
    pub per_s: NonZeroU32,
    /// Requests in a burst.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// Reads `<key>_per_s` and `<key>_burst`. `None` if the rate is 0; a burst of 0 is one second's worth.
    pub(crate) fn read(r: &mut SettingsReader, key: &str) -> Option<RateLimit> {
        let burst = NonZeroU32::new(r.whole(&format!("{key}_burst")));
        let per_s = NonZeroU32::new(r.whole(&format!("{key}_per_s")))?;
        Some(RateLimit {
            per_s,
            burst: burst.unwrap_or(per_s),
        })
    }
}
