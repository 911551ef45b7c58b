//! The spans of one delivery: received, verified, made durable.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::HttpRequest;
use harkara_core::durability::Durability;
use harkara_core::entry::event_name;
use harkara_core::signature::Refusal;
use harkara_core::trace::TraceContext;
use harkara_telemetry::{Span, SpanIds, SpanKind, Timeline, Tracer};

use crate::metrics::Outcome;
use crate::receive::{Passed, Taken};

/// The name of our way of messaging: the standard has none for streams of Redis.
const MESSAGING_SYSTEM: &str = "redis_streams";

/// The instants of a delivery's way and the places of its spans.
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
    /// Begins where a request is received; `None` where no traces are kept.
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

    /// What travels with the delivery: whoever processes it stands below the append.
    pub(crate) fn context(&self) -> TraceContext {
        self.append.trace_context(self.is_kept, &self.vendors)
    }

    /// The signature was looked at since `from`.
    pub(crate) fn verified(&mut self, from: Instant) {
        self.verified = Some((from, Instant::now()));
    }

    /// The delivery was being made durable since `from`.
    pub(crate) fn appended(&mut self, from: Instant) {
        self.appended = Some((from, Instant::now()));
    }

    /// Writes the spans down where the trace is kept: by sampling, or because of its end. Tells the id of a
    /// trace that is.
    pub(crate) fn end(
        self,
        tracer: &Tracer,
        request: &HttpRequest,
        taken: &Taken<'_>,
    ) -> Option<String> {
        let now = Instant::now();
        let is_refused = taken.outcome != Outcome::Accepted;
        let is_notable = is_refused || tracer.is_slow(now - self.line.origin());
        // Anybody may ask for a refused request to be kept, so that these are bounded whoever asks.
        let is_kept = (self.is_kept && !is_refused) || (is_notable && tracer.keeps_notable(now));
        if !is_kept {
            return None;
        }
        tracer.record(self.receive_span(now, request, taken));
        if let Some(times) = self.verified {
            let refusal = taken.refusal.map(Refusal::code);
            tracer.record(
                self.span("verify", SpanKind::Internal, self.receive.child(), times)
                    .with_some("harkara.refusal", refusal),
            );
        }
        if let (Some(times), Some(passed)) = (self.appended, &taken.delivery) {
            tracer.record(self.append_span(times, passed));
        }
        Some(self.receive.trace_id())
    }

    fn span(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        place: SpanIds,
        times: (Instant, Instant),
    ) -> Span {
        Span::new(name, kind, place, &self.line, times)
    }

    fn receive_span(&self, now: Instant, request: &HttpRequest, taken: &Taken<'_>) -> Span {
        let status = taken.response.status();
        let route = request.match_pattern().unwrap_or_default();
        let scheme = if request.app_config().secure() {
            "https"
        } else {
            "http"
        };
        let span = self
            .span(
                format!("POST {route}"),
                SpanKind::Server,
                self.receive,
                (self.line.origin(), now),
            )
            .with("http.request.method", "POST")
            .with("http.route", route)
            .with("url.scheme", scheme)
            .with("http.response.status_code", i64::from(status.as_u16()))
            .with("harkara.outcome", taken.outcome.code())
            .with_some(
                "harkara.endpoint",
                taken.endpoint.map(|endpoint| endpoint.name.to_string()),
            );
        let span = match &taken.delivery {
            Some(passed) => passed.told_by(span),
            None => span,
        };
        if status.is_server_error() {
            span.failed(taken.outcome.code(), "nothing took the delivery durably")
        } else {
            span
        }
    }

    fn append_span(&self, times: (Instant, Instant), passed: &Passed) -> Span {
        let is_stored = passed.level == Some(Durability::Stored);
        let (system, destination) = if is_stored {
            ("postgresql", "inbox")
        } else {
            (MESSAGING_SYSTEM, passed.lane.as_str())
        };
        let span = self
            .span(
                format!("append {destination}"),
                SpanKind::Producer,
                self.append,
                times,
            )
            .with("messaging.system", system)
            .with(
                "db.operation.name",
                if is_stored { "COMMIT" } else { "XADD" },
            )
            .with(
                "db.system.name",
                if is_stored { "postgresql" } else { "redis" },
            )
            .with("messaging.operation.name", "append")
            .with("messaging.operation.type", "send")
            .with("messaging.destination.name", destination)
            .with(
                "messaging.message.body.size",
                i64::try_from(passed.verified.body().len()).unwrap_or(i64::MAX),
            )
            .with_some("harkara.durability", passed.level.map(Durability::as_str));
        let span = passed.told_by(span);
        match passed.level {
            Some(_) => span,
            None => span.failed("unavailable", "neither Redis nor PostgreSQL confirmed"),
        }
    }
}

impl Passed {
    fn told_by(&self, span: Span) -> Span {
        let event_type = event_name(self.verified.body());
        span.with("harkara.event.id", self.verified.event_id().to_string())
            .with_some("harkara.event.type", event_type.map(Cow::into_owned))
            .with("harkara.lane", self.lane.as_str())
    }
}
