//! Batches in flight: a permit each, shared by all sources.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The permits of a worker. Who holds one may have a batch on the road; dropping it, even by a panic,
/// gives it back. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Permits(Arc<Semaphore>);

impl Permits {
    pub(crate) fn new(batches_in_flight_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(batches_in_flight_max)))
    }

    /// Waits for a permit, first come, first served.
    pub(crate) async fn take(&self) -> OwnedSemaphorePermit {
        self.0
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}
