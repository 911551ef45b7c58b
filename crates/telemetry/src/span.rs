//! A span, written down when what it tells of is over.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use harkara_core::trace::TraceContext;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::span_ids::SpanIds;

/// Instants of the monotonic clock as times of the wall clock, which is read once: a clock that is set
/// meanwhile makes no span end before it began.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    wall: SystemTime,
    instant: Instant,
}

impl Timeline {
    /// A line through now.
    #[must_use]
    pub fn from_now() -> Self {
        Self {
            wall: SystemTime::now(),
            instant: Instant::now(),
        }
    }

    /// The instant that the line was drawn at.
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

/// A span. Attributes hold no body, secret or personal datum.
#[derive(Clone, Debug)]
pub struct Span(pub(crate) SpanData);

impl Span {
    /// A span that lasted from one instant to another.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        ids: SpanIds,
        line: &Timeline,
        (from, until): (Instant, Instant),
    ) -> Self {
        let parent = ids.parent;
        Self(SpanData {
            span_context: ids.span_context(),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| {
                SpanId::from_bytes(parent.span_id.to_be_bytes())
            }),
            parent_span_is_remote: parent.is_some_and(|parent| parent.is_remote),
            span_kind: kind,
            name: name.into(),
            start_time: line.at(from),
            end_time: line.at(until),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope(),
        })
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.attributes.push(KeyValue::new(name, value));
        self
    }

    /// With an attribute where there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// That what it tells of failed, and how: a word out of few, and what an operator reads.
    #[must_use]
    pub fn failed(self, error: &'static str, told: impl Into<Cow<'static, str>>) -> Self {
        let mut span = self.with("error.type", error);
        span.0.status = Status::error(told);
        span
    }

    /// With a link to a span of this process.
    #[must_use]
    pub fn linked(mut self, to: SpanIds) -> Self {
        self.link(to.span_context());
        self
    }

    /// With a link to the span of another process that this context came from, where it holds one.
    #[must_use]
    pub fn linked_to(mut self, context: &TraceContext) -> Self {
        if let Some(ids) = context.ids() {
            self.link(SpanContext::new(
                TraceId::from_bytes(ids.trace_id.to_be_bytes()),
                SpanId::from_bytes(ids.span_id.to_be_bytes()),
                TraceFlags::new(u8::from(ids.is_sampled)),
                true,
                TraceState::NONE,
            ));
        }
        self
    }

    fn link(&mut self, to: SpanContext) {
        self.0.links.links.push(Link::with_context(to));
    }
}

/// What wrote the spans down.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("harkara")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}
