//! The ids of a span: its trace, itself and its parent.

use harkara_core::trace::TraceContext;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The ids of a span, known before the span ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent: Option<Parent>,
}

/// The parent of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) span_id: u64,
    /// Whether it belongs to another process.
    pub(crate) is_remote: bool,
}

impl SpanIds {
    /// The root of a new trace.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace_id: rand::random::<u128>().max(1),
            span_id: new_span_id(),
            parent: None,
        }
    }

    /// A child of another process's span. `None` if the context holds no ids.
    #[must_use]
    pub fn child_of(remote: &TraceContext) -> Option<Self> {
        let ids = remote.ids()?;
        Some(Self::below(ids.trace_id, ids.span_id, true))
    }

    /// A child of this span.
    #[must_use]
    pub fn child(self) -> Self {
        Self::below(self.trace_id, self.span_id, false)
    }

    fn below(trace_id: u128, span_id: u64, is_remote: bool) -> Self {
        Self {
            trace_id,
            span_id: new_span_id(),
            parent: Some(Parent { span_id, is_remote }),
        }
    }

    /// The context that makes another process's span a child of this one. `tracestate` is the caller's,
    /// passed on unchanged.
    #[must_use]
    pub fn trace_context(self, is_sampled: bool, tracestate: &str) -> TraceContext {
        TraceContext::of(self.trace_id, self.span_id, is_sampled, tracestate)
    }

    /// The trace's id in hex.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(crate) fn span_context(self) -> SpanContext {
        span_context(self.trace_id, self.span_id, TraceFlags::SAMPLED, false)
    }
}

/// A context as the SDK represents it.
pub(crate) fn span_context(
    trace_id: u128,
    span_id: u64,
    flags: TraceFlags,
    is_remote: bool,
) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(span_id));
    SpanContext::new(trace_id, span_id, flags, is_remote, TraceState::NONE)
}

/// A new id. The standard reserves zero for "invalid".
fn new_span_id() -> u64 {
    rand::random::<u64>().max(1)
}
