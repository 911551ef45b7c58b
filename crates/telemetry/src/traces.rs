//! The export of spans.

use std::pin::pin;
use std::time::Duration;

use harkara_core::causes::with_causes;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::background::{Background, LAST_EXPORT_MAX, StartError, WarningLimit};
use crate::connect::connect;
use crate::counters::Counters;
use crate::environment::{TraceEnvironment, Variables};
use crate::tracer::{Limits, Tracer};

/// Exports the spans of its tracer.
#[derive(Debug)]
pub struct TraceExporter {
    tracer: Tracer,
    background: Option<Background>,
}

impl TraceExporter {
    /// Starts to export if the `OTEL_*` variables ask for it; otherwise the tracer keeps nothing. `service`
    /// and `instance` name this process. A collector that is unavailable is no error.
    pub fn start(
        variables: Variables<'_>,
        limits: Limits,
        service: &'static str,
        instance: &str,
    ) -> Result<Self, StartError> {
        let Some(environment) = TraceEnvironment::read(variables)? else {
            return Ok(Self {
                tracer: Tracer::off(),
                background: None,
            });
        };
        let runtime = Background::runtime()?;
        let exporter = {
            let _within = runtime.enter();
            connect(&environment.target, service, instance)?
        };
        let (queue, spans) = mpsc::channel(environment.queue_spans.get());
        let counters = Counters::default();
        let tracer = Tracer::new(environment.sampling, limits, queue, counters.clone());
        let sender = SpanSender {
            exporter,
            counters,
            batch_spans: environment.batch_spans.get(),
            gather: environment.gather,
            warnings: WarningLimit::default(),
        };
        let background = Background::start("telemetry", runtime, |stop| sender.run(spans, stop))?;
        let endpoint = environment.target.redacted_endpoint();
        tracing::info!(endpoint, "Exporting traces.");
        Ok(Self {
            tracer,
            background: Some(background),
        })
    }

    /// The tracer whose spans are exported.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Exports the waiting spans, for up to three seconds. Blocks that long.
    pub fn finish(self) {
        if let Some(background) = self.background {
            background.finish();
        }
    }
}

struct SpanSender {
    exporter: SpanExporter,
    counters: Counters,
    batch_spans: usize,
    gather: Duration,
    warnings: WarningLimit,
}

impl SpanSender {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, stop: CancellationToken) {
        let mut all = pin!(self.send_all(&mut spans, &stop));
        tokio::select! {
            () = &mut all => return,
            () = stop.cancelled() => {}
        }
        if timeout(LAST_EXPORT_MAX, all).await.is_err() {
            tracing::warn!("The collector did not take the last spans in time.");
        }
    }

    /// Sends batches until stopped, and then the rest of the queue.
    async fn send_all(&mut self, spans: &mut mpsc::Receiver<SpanData>, stop: &CancellationToken) {
        while let Some(first) = next(spans, stop).await {
            let mut batch = Vec::with_capacity(self.batch_spans);
            batch.push(first);
            let gathered = async {
                while batch.len() < self.batch_spans
                    && let Some(span) = next(spans, stop).await
                {
                    batch.push(span);
                }
            };
            // Spans that come later go with the next batch.
            timeout(self.gather, gathered).await.ok();
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let n_spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.counters.exported.inc_by(n_spans);
                self.warnings.reset();
            }
            Err(error) => {
                self.counters.failed.inc_by(n_spans);
                if self.warnings.admits() {
                    tracing::warn!(
                        error = with_causes(&error),
                        "The collector does not take spans; deliveries are not affected."
                    );
                }
            }
        }
    }
}

/// The next span; `None` once stopped and the queue is empty.
async fn next(spans: &mut mpsc::Receiver<SpanData>, stop: &CancellationToken) -> Option<SpanData> {
    tokio::select! {
        biased;
        span = spans.recv() => span,
        () = stop.cancelled() => {
            spans.close();
            spans.recv().await
        }
    }
}
