//! The bytes of all bodies in memory, counted and bounded.

use harkara_telemetry::catalogue::INGRESS_BUFFERED_BYTES;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How many bytes of bodies the process holds; shared by its server threads.
pub(crate) struct Buffered {
    bytes: Gauge,
    bytes_max: i64,
}

/// The part of one request, given back when it is dropped.
pub(crate) struct Charge<'a> {
    buffered: &'a Buffered,
    bytes: i64,
}

/// All requests together would hold more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Buffered {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Gauge::default(),
            bytes_max: signed(bytes_max),
        }
    }

    /// Shows the bytes among the metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        INGRESS_BUFFERED_BYTES.register(registry, self.bytes.clone());
    }

    /// The charge of a new request, which holds nothing yet.
    pub(crate) fn charge(&self) -> Charge<'_> {
        Charge {
            buffered: self,
            bytes: 0,
        }
    }
}

impl Charge<'_> {
    /// Takes what is missing to `bytes`, or nothing where that would be too much.
    ///
    /// Only what has come is taken, never what a client says will come: else few connections that
    /// declare much and send nothing could keep everybody out.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let missing = (signed(bytes) - self.bytes).max(0);
        let before = self.buffered.bytes.inc_by(missing);
        if before + missing > self.buffered.bytes_max {
            self.buffered.bytes.dec_by(missing);
            return Err(Full);
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

/// No memory holds more bytes than this type counts.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Buffered, Full};

    #[test]
    fn charges_are_bounded_together_and_given_back() {
        let buffered = Buffered::new(100);
        let mut first = buffered.charge();
        let mut second = buffered.charge();
        assert_eq!(first.grow_to(60), Ok(()));
        assert_eq!(first.grow_to(50), Ok(()));
        assert_eq!(second.grow_to(41), Err(Full));
        assert_eq!(second.grow_to(40), Ok(()));
        assert_eq!(second.grow_to(41), Err(Full));
        drop(first);
        assert_eq!(second.grow_to(100), Ok(()));
        drop(second);
        assert_eq!(buffered.bytes.get(), 0);
    }
}
