//! Spans, written when their work is over.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use harkara_core::trace::TraceContext;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::span_ids::{SpanIds, span_context};

/// Maps instants to wall-clock times. The wall clock is read once, so that setting it makes no span end before
/// it began.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    wall: SystemTime,
    instant: Instant,
}

impl Timeline {
    /// A timeline with its origin now.
    #[must_use]
    pub fn from_now() -> Self {
        Self {
            wall: SystemTime::now(),
            instant: Instant::now(),
        }
    }

    /// The instant at which the timeline was made.
    #[must_use]
    pub fn origin(&self) -> Instant {
        self.instant
    }

    fn at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.wall + later,
            None => self.wall - self.instant.duration_since(instant),
        }
    }
}

/// A span. Its attributes hold no body, secret or personal data.
#[derive(Clone, Debug)]
pub struct Span(pub(crate) SpanData);

impl Span {
    /// A span between two instants.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        ids: SpanIds,
        timeline: &Timeline,
        (from, until): (Instant, Instant),
    ) -> Self {
        let parent = ids.parent;
        Self(SpanData {
            span_context: ids.span_context(),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| parent.span_id.into()),
            parent_span_is_remote: parent.is_some_and(|parent| parent.is_remote),
            span_kind: kind,
            name: name.into(),
            start_time: timeline.at(from),
            end_time: timeline.at(until),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("harkara")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        })
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.attributes.push(KeyValue::new(name, value));
        self
    }

    /// Adds an attribute if there is a value.
    #[must_use]
    pub fn with_some(mut self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        let attribute = value.map(|value| KeyValue::new(name, value));
        self.0.attributes.extend(attribute);
        self
    }

    /// Marks the span as failed. `error` is one of a few codes, `message` is for operators.
    #[must_use]
    pub fn failed(self, error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let mut span = self.with("error.type", error);
        span.0.status = Status::error(message);
        span
    }

    /// Adds a link to a span of this process.
    #[must_use]
    pub fn linked(self, to: SpanIds) -> Self {
        self.with_link(to.span_context())
    }

    /// Adds a link to the span of another process, if the context holds one.
    #[must_use]
    pub fn linked_to(self, context: &TraceContext) -> Self {
        let Some(ids) = context.ids() else {
            return self;
        };
        let flags = TraceFlags::new(u8::from(ids.is_sampled));
        self.with_link(span_context(ids.trace_id, ids.span_id, flags, true))
    }

    fn with_link(mut self, to: SpanContext) -> Self {
        self.0.links.links.push(Link::with_context(to));
        self
    }
}
