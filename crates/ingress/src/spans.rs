//! The spans of one delivery: received, verified, made durable.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::HttpRequest;
use harkara_core::durability::Durability;
use harkara_core::entry::event_name;
use harkara_core::signature::Refusal;
use harkara_core::trace::TraceContext;
use harkara_telemetry::{Span, SpanIds, SpanKind, Timeline, Tracer};

use crate::outcome::RequestOutcome;
use crate::receive::{Handled, HandledDelivery};

/// The messaging system's name; OpenTelemetry defines none for Redis Streams.
const MESSAGING_SYSTEM: &str = "redis_streams";

/// The instants of a request's steps and the ids of its spans.
pub(crate) struct RequestSpans {
    line: Timeline,
    receive: SpanIds,
    append: SpanIds,
    is_kept: bool,
    vendors: String,
    verified: Option<(Instant, Instant)>,
    appended: Option<(Instant, Instant)>,
}

impl RequestSpans {
    /// Begins with a request; `None` if tracing is off.
    pub(crate) fn begin(tracer: &Tracer, caller: Option<&TraceContext>) -> Option<Self> {
        if !tracer.is_on() {
            return None;
        }
        let line = Timeline::from_now();
        let receive = caller
            .and_then(SpanIds::child_of)
            .unwrap_or_else(SpanIds::root);
        Some(Self {
            is_kept: tracer.keeps(receive, caller, line.origin()),
            append: receive.child(),
            receive,
            line,
            vendors: caller.map_or_else(String::new, |caller| caller.tracestate.clone()),
            verified: None,
            appended: None,
        })
    }

    /// The context that travels with the delivery: the parent of its processing is the append.
    pub(crate) fn context(&self) -> TraceContext {
        self.append.trace_context(self.is_kept, &self.vendors)
    }

    /// The signature was checked from `from` until now.
    pub(crate) fn verified(&mut self, from: Instant) {
        self.verified = Some((from, Instant::now()));
    }

    /// The delivery was made durable from `from` until now.
    pub(crate) fn appended(&mut self, from: Instant) {
        self.appended = Some((from, Instant::now()));
    }

    /// Records the spans if the trace is kept, by sampling or for its outcome, and returns the id of a kept
    /// trace.
    pub(crate) fn end(
        self,
        tracer: &Tracer,
        request: &HttpRequest,
        handled: &Handled<'_>,
    ) -> Option<String> {
        let now = Instant::now();
        let is_refused = handled.outcome != RequestOutcome::Accepted;
        let is_notable = is_refused || tracer.is_slow(now - self.line.origin());
        // Anybody can set the sampled flag of a refused request, so these are bounded in any case.
        let is_kept = (self.is_kept && !is_refused) || (is_notable && tracer.keeps_notable(now));
        if !is_kept {
            return None;
        }
        tracer.record(self.receive_span(now, request, handled));
        if let Some(times) = self.verified {
            let refusal = handled.refusal.map(Refusal::code);
            let ids = self.receive.child();
            let span = Span::new("verify", SpanKind::Internal, ids, &self.line, times);
            tracer.record(span.with_some("harkara.refusal", refusal));
        }
        if let (Some(times), Some(delivery)) = (self.appended, &handled.delivery) {
            tracer.record(self.append_span(times, delivery));
        }
        Some(self.receive.trace_id())
    }

    fn receive_span(&self, now: Instant, request: &HttpRequest, handled: &Handled<'_>) -> Span {
        let status = handled.response.status();
        let route = request.match_pattern().unwrap_or_default();
        let is_secure = request.app_config().secure();
        let (name, times) = (format!("POST {route}"), (self.line.origin(), now));
        let span = Span::new(name, SpanKind::Server, self.receive, &self.line, times)
            .with("http.request.method", "POST")
            .with("http.route", route)
            .with("url.scheme", if is_secure { "https" } else { "http" })
            .with("http.response.status_code", i64::from(status.as_u16()))
            .with("harkara.outcome", handled.outcome.name())
            .with_some(
                "harkara.endpoint",
                handled.endpoint.map(|endpoint| endpoint.name.to_string()),
            );
        let span = match &handled.delivery {
            Some(delivery) => delivery.describe(span),
            None => span,
        };
        if status.is_server_error() {
            span.failed(handled.outcome.name(), "nothing took the delivery durably")
        } else {
            span
        }
    }

    fn append_span(&self, times: (Instant, Instant), delivery: &HandledDelivery) -> Span {
        let is_stored = delivery.level == Some(Durability::Stored);
        let (system, database, operation, destination) = if is_stored {
            ("postgresql", "postgresql", "COMMIT", "inbox")
        } else {
            (MESSAGING_SYSTEM, "redis", "XADD", delivery.lane.as_str())
        };
        let name = format!("append {destination}");
        let span = Span::new(name, SpanKind::Producer, self.append, &self.line, times)
            .with("messaging.system", system)
            .with("db.operation.name", operation)
            .with("db.system.name", database)
            .with("messaging.operation.name", "append")
            .with("messaging.operation.type", "send")
            .with("messaging.destination.name", destination)
            .with(
                "messaging.message.body.size",
                i64::try_from(delivery.verified.body().len()).unwrap_or(i64::MAX),
            )
            .with_some("harkara.durability", delivery.level.map(Durability::as_str));
        let span = delivery.describe(span);
        match delivery.level {
            Some(_) => span,
            None => span.failed("unavailable", "neither Redis nor PostgreSQL confirmed"),
        }
    }
}

impl HandledDelivery {
    fn describe(&self, span: Span) -> Span {
        let event_type = event_name(self.verified.body());
        span.with("harkara.event.id", self.verified.event_id().to_string())
            .with_some("harkara.event.type", event_type.map(Cow::into_owned))
            .with("harkara.lane", self.lane.as_str())
    }
}
