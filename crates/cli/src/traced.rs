//! The trace of one call of a command, and of the deliveries that it sends.

use std::time::{Duration, Instant};

use harkara_settings::{instance, variable};
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Answer, Destination, SendError, Sender};
use harkara_telemetry::{Limits, Span, SpanIds, SpanKind, StartError, Timeline, TraceExporter};

/// No limits, unlike those of a service: whoever calls a command with a collector wants all of its trace.
const LIMITS: Limits = Limits {
    ordinary_per_s_max: u32::MAX,
    slow: Duration::MAX,
};

/// A call of a command, traced if the standard `OTEL_*` variables name a collector.
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
        Self::with(name, &variable)
    }

    /// Begins a call without a trace, whatever the variables name.
    pub(crate) fn untraced(name: &'static str) -> Result<Self, StartError> {
        Self::with(name, &|_| None)
    }

    /// Whether the variables name a collector.
    pub(crate) fn is_exported(&self) -> bool {
        self.exporter.tracer().is_on()
    }

    fn with(
        name: &'static str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, StartError> {
        let exporter = TraceExporter::start(variable, LIMITS, "harkara", &instance::name())?;
        let (line, ids) = (Timeline::from_now(), SpanIds::root());
        Ok(Self {
            is_kept: exporter.tracer().keeps(ids, None, line.origin()),
            name,
            exporter,
            line,
            ids,
        })
    }

    /// Exports the trace of the call, for up to three seconds.
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

    /// Sends a delivery; its trace is part of this call's.
    pub(crate) async fn send(
        &self,
        sender: &Sender,
        destination: &Destination,
        delivery: &Signed,
    ) -> Result<Answer, SendError> {
        if !self.is_kept {
            return sender.send(destination, delivery).await;
        }
        let (ids, since) = (self.ids.child(), Instant::now());
        let delivery = Signed {
            traceparent: Some(ids.trace_context(true, "").traceparent),
            ..delivery.clone()
        };
        let result = sender.send(destination, &delivery).await;
        let times = (since, Instant::now());
        let span = Span::new("POST", SpanKind::Client, ids, &self.line, times)
            .with("http.request.method", "POST")
            .with("url.full", destination.url().to_owned())
            .with("harkara.event.id", delivery.event_id)
            .with("harkara.event.type", delivery.name);
        let span = match &result {
            Ok(answer) => {
                let span = span.with("http.response.status_code", i64::from(answer.status));
                if answer.status >= 400 {
                    span.failed("refused", "the ingress refused it")
                } else {
                    span
                }
            }
            Err(_) => span.failed("no_answer", "nobody answered"),
        };
        self.exporter.tracer().record(span);
        result
    }
}
