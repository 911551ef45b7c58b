//! The memory of request bodies, counted and bounded.

use harkara_telemetry::catalogue::INGRESS_BUFFERED_BYTES;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::outcome::Rejection;

/// The body bytes that the process holds; shared by its server threads.
pub(crate) struct Buffered {
    bytes: Gauge,
    bytes_max: i64,
}

/// The body bytes of one request, released when dropped.
pub(crate) struct Charge<'a> {
    buffered: &'a Buffered,
    bytes: i64,
}

impl Buffered {
    pub(crate) fn new(bytes_max: usize, registry: &mut Registry) -> Self {
        Self {
            bytes: INGRESS_BUFFERED_BYTES.registered(registry, Gauge::default()),
            bytes_max: signed(bytes_max),
        }
    }

    /// The charge of a new request, of no bytes yet.
    pub(crate) fn charge(&self) -> Charge<'_> {
        Charge {
            buffered: self,
            bytes: 0,
        }
    }
}

impl Charge<'_> {
    /// Raises the charge to `bytes`, or leaves it unless all requests together stay within the bound.
    ///
    /// Only received bytes are charged, never declared ones: otherwise a few connections that declare much
    /// and send nothing could keep everybody out.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Rejection> {
        let missing = (signed(bytes) - self.bytes).max(0);
        let before = self.buffered.bytes.inc_by(missing);
        if before + missing > self.buffered.bytes_max {
            self.buffered.bytes.dec_by(missing);
            return Err(Rejection::Overloaded);
        }
        self.bytes += missing;
        Ok(())
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.buffered.bytes.dec_by(self.bytes);
    }
}

/// No memory holds more bytes than an `i64` counts.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::Buffered;
    use crate::outcome::Rejection;

    #[test]
    fn charges_are_bounded_together_and_given_back() {
        let buffered = Buffered::new(100, &mut Registry::default());
        let mut first = buffered.charge();
        let mut second = buffered.charge();
        assert_eq!(first.grow_to(60), Ok(()));
        assert_eq!(first.grow_to(50), Ok(()));
        assert_eq!(second.grow_to(41), Err(Rejection::Overloaded));
        assert_eq!(second.grow_to(40), Ok(()));
        assert_eq!(second.grow_to(41), Err(Rejection::Overloaded));
        drop(first);
        assert_eq!(second.grow_to(100), Ok(()));
        drop(second);
        assert_eq!(buffered.bytes.get(), 0);
    }
}
