//! Where a span stands: its trace, its own id and its parent.

use harkara_core::trace::TraceContext;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A span's place among others, known before the span is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent: Option<Parent>,
}

/// The span above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) span_id: u64,
    /// Whether it is of another process.
    pub(crate) is_remote: bool,
}

impl Place {
    /// The first span of a new trace.
    #[must_use]
    pub fn first() -> Self {
        Self {
            trace_id: rand::random::<u128>().max(1),
            span_id: span_id(),
            parent: None,
        }
    }

    /// Below a span of another process, which this context came from. `None` where it holds none.
    #[must_use]
    pub fn below_context(context: &TraceContext) -> Option<Self> {
        let ids = context.ids()?;
        Some(Self {
            trace_id: ids.trace_id,
            span_id: span_id(),
            parent: Some(Parent {
                span_id: ids.span_id,
                is_remote: true,
            }),
        })
    }

    /// A place below this one.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id: span_id(),
            parent: Some(Parent {
                span_id: self.span_id,
                is_remote: false,
            }),
        }
    }

    /// What a span of another process needs to stand below this one. `vendors` is the caller's
    /// `tracestate`, passed on as it came.
    #[must_use]
    pub fn context(self, is_sampled: bool, vendors: &str) -> TraceContext {
        TraceContext::of(self.trace_id, self.span_id, is_sampled, vendors)
    }

    /// The id of the trace in hex.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(crate) fn span_context(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        )
    }
}

/// A new id; all zeros means "none" in the standard.
fn span_id() -> u64 {
    rand::random::<u64>().max(1)
}
