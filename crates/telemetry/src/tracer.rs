//! Decides which traces are kept and queues their spans.

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

/// Maximum traces a second kept for their outcome, such as refused deliveries, which anybody can cause.
const NOTABLE_PER_S_MAX: u32 = 200;

/// Bounds the cost of traces, besides the sampler.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum ordinary traces kept a second, not counting those that a caller asked for.
    pub ordinary_per_s_max: u32,
    /// Anything slower is kept, ordinary or not.
    pub slow: Duration,
}

/// Keeps traces. Cheap to clone; clones share the queue and the bounds. Never waits: if the queue is full,
/// spans are dropped and counted.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    sampling: Sampling,
    limits: Limits,
    ordinary: PerSecond,
    notable: PerSecond,
    queue: mpsc::Sender<SpanData>,
    counters: Counters,
    /// The start of the first second.
    since: Instant,
}

impl Tracer {
    /// A tracer that keeps nothing.
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

    /// Whether any trace may be kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether an ordinary trace is kept. `ids` are those of its first span here, `caller` is the context
    /// it was called with.
    #[must_use]
    pub fn keeps(&self, ids: SpanIds, caller: Option<&TraceContext>, at: Instant) -> bool {
        let Some(inner) = &self.0 else {
            return false;
        };
        let parent = caller.and_then(TraceContext::ids).map(|ids| ids.is_sampled);
        match inner.sampling.keeps(parent, ids.trace_id) {
            Kept::No => false,
            Kept::ByCaller => true,
            Kept::ByRatio => inner.ordinary.admits(inner.second(at)),
        }
    }

    /// Whether a trace that is not kept otherwise is kept for its outcome.
    #[must_use]
    pub fn keeps_notable(&self, at: Instant) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| inner.notable.admits(inner.second(at)))
    }

    /// Whether a duration is worth keeping the trace, subject to [`Self::keeps_notable`].
    #[must_use]
    pub fn is_slow(&self, took: Duration) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| took >= inner.limits.slow)
    }

    /// Queues a span for export.
    pub fn record(&self, span: Span) {
        if let Some(inner) = &self.0
            && inner.queue.try_send(span.0).is_err()
        {
            inner.counters.dropped.inc();
        }
    }

    /// Registers the counters of spans.
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
