//! Which traces are kept, and the way of their spans to the exporter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::trace::TraceContext;
use opentelemetry_sdk::trace::SpanData;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::sampling::{Kept, PerSecond, Sampling};
use crate::span::Span;
use crate::span_ids::SpanIds;

/// Traces a second that are kept for what became of them, such as refused deliveries, of which anybody can
/// send as many as they like.
const NOTABLE_PER_S_MAX: u32 = 200;

/// What bounds the cost of traces besides the sampler.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most ordinary traces kept in a second, of those that no caller asked for.
    pub ordinary_per_s_max: u32,
    /// What takes longer is kept, ordinary or not.
    pub slow: Duration,
}

/// Keeps traces. Cheap to clone; clones share queue and bounds. Never waits: where the queue is full, spans
/// are dropped and counted.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) sampling: Sampling,
    pub(crate) limits: Limits,
    pub(crate) ordinary: PerSecond,
    pub(crate) notable: PerSecond,
    pub(crate) queue: mpsc::Sender<SpanData>,
    pub(crate) counters: Counters,
    /// Seconds are counted from here.
    pub(crate) since: Instant,
}

impl Tracer {
    /// One that keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    pub(crate) fn new(
        sampling: Sampling,
        limits: Limits,
        queue: mpsc::Sender<SpanData>,
        counters: Counters,
    ) -> Self {
        Self(Some(Arc::new(Inner {
            sampling,
            limits,
            ordinary: PerSecond::new(limits.ordinary_per_s_max),
            notable: PerSecond::new(NOTABLE_PER_S_MAX),
            queue,
            counters,
            since: Instant::now(),
        })))
    }

    /// Whether traces are kept at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether an ordinary trace that begins at `ids` is kept. `caller` is the context that it was called
    /// with, where it was.
    #[must_use]
    pub fn keeps(&self, ids: SpanIds, caller: Option<&TraceContext>, at: Instant) -> bool {
        let Some(inner) = &self.0 else {
            return false;
        };
        let parent = caller.and_then(TraceContext::ids).map(|ids| ids.is_sampled);
        match inner.sampling.keeps(parent, ids.trace_id) {
            Kept::No => false,
            Kept::AsCallerSays => true,
            Kept::ByRatio => inner.ordinary.admits(inner.second(at)),
        }
    }

    /// Whether a trace that is not kept for its own sake is kept for what became of it.
    #[must_use]
    pub fn keeps_notable(&self, at: Instant) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| inner.notable.admits(inner.second(at)))
    }

    /// Whether something took so long that it is kept for that; subject to [`Self::keeps_notable`].
    #[must_use]
    pub fn is_slow(&self, took: Duration) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| took >= inner.limits.slow)
    }

    /// Sends a span on its way.
    pub fn record(&self, span: Span) {
        if let Some(inner) = &self.0
            && inner.queue.try_send(span.0).is_err()
        {
            inner.counters.dropped.inc();
        }
    }

    /// Adds what became of the spans to the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let counters = match &self.0 {
            Some(inner) => inner.counters.clone(),
            None => Counters::default(),
        };
        counters.register(registry);
    }
}

impl Inner {
    fn second(&self, at: Instant) -> u32 {
        let seconds = at.saturating_duration_since(self.since).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}
