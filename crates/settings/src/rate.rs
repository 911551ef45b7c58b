//! Bounds of requests in time.

use std::num::NonZeroU32;

use super::reader::Reader;

/// A steady rate, and how much may come at once after a quiet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub per_s: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// `None` where the rate is 0; a burst of 0 is one second's worth.
    pub(super) fn read(
        r: &mut Reader,
        per_s: &'static str,
        burst: &'static str,
    ) -> Option<RateLimit> {
        let burst = NonZeroU32::new(r.whole(burst));
        let per_s = NonZeroU32::new(r.whole(per_s))?;
        Some(RateLimit {
            per_s,
            burst: burst.unwrap_or(per_s),
        })
    }
}
