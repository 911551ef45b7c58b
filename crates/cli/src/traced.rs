//! The trace of one call of a command, and of the deliveries that it sends.

use std::time::{Duration, Instant};

use harkara_core::trace::TraceContext;
use harkara_settings::{instance, variable};
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Answer, Destination, SendError};
use harkara_telemetry::{Limits, Span, SpanIds, SpanKind, StartError, Timeline, TraceExporter};

/// The limits of a service do not suit a command: whoever calls one with a collector wants all of its trace.
const LIMITS: Limits = Limits {
    ordinary_per_s_max: u32::MAX,
    slow: Duration::MAX,
};

/// A call of a command, traced where the standard `OTEL_*` variables say where to.
pub(crate) struct Call {
    name: &'static str,
    exporter: TraceExporter,
    line: Timeline,
    ids: SpanIds,
    is_kept: bool,
}

impl Call {
    /// Begins the trace of the command of this name.
    pub(crate) fn begin(name: &'static str) -> Result<Self, StartError> {
        let exporter = TraceExporter::start(&variable, LIMITS, "harkara", &instance::name())?;
        let (line, ids) = (Timeline::from_now(), SpanIds::root());
        Ok(Self {
            is_kept: exporter.tracer().keeps(ids, None, line.origin()),
            name,
            exporter,
            line,
            ids,
        })
    }

    /// Sends what is known of the call to the collector, for up to three seconds.
    pub(crate) fn end(self, is_done: bool) {
        if self.is_kept {
            let times = (self.line.origin(), Instant::now());
            let name = format!("harkara {}", self.name);
            let span = Span::new(name, SpanKind::Internal, self.ids, &self.line, times);
            let span = if is_done {
                span
            } else {
                span.failed("failed", "the command says why")
            };
            self.exporter.tracer().record(span);
        }
        self.exporter.finish();
    }

    /// Puts a delivery below this call: its ids, and the context to send with it. `None` where no trace
    /// is kept.
    pub(crate) fn delivery(&self) -> Option<(SpanIds, TraceContext)> {
        self.is_kept.then(|| {
            let ids = self.ids.child();
            (ids, ids.trace_context(true, ""))
        })
    }

    /// A delivery has been answered, or will not be.
    pub(crate) fn answered(
        &self,
        ids: SpanIds,
        since: Instant,
        destination: &Destination,
        delivery: &Signed,
        result: &Result<Answer, SendError>,
    ) {
        let times = (since, Instant::now());
        let span = Span::new("POST", SpanKind::Client, ids, &self.line, times)
            .with("http.request.method", "POST")
            .with("url.full", destination.url().to_owned())
            .with("harkara.event.id", delivery.event_id.clone())
            .with("harkara.event.type", delivery.name.clone());
        let span = match result {
            Ok(answer) => {
                let span = span.with("http.response.status_code", i64::from(answer.status));
                if answer.status >= 400 {
                    span.failed("refused", "the ingress did not take it")
                } else {
                    span
                }
            }
            Err(_) => span.failed("no_answer", "nobody answered"),
        };
        self.exporter.tracer().record(span);
    }
}
