//! The thread that sends spans to the collector.

use std::pin::pin;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connect::ConnectError;
use crate::counters::Counters;
use crate::environment::Environment;
use crate::tracer::{Limits, Tracer};

/// How long the end of the process waits for the last spans.
const LAST_SPANS_MAX: Duration = Duration::from_secs(3);

/// Time between two lines in the log that the collector takes nothing.
pub(crate) const TELL_EVERY: Duration = Duration::from_mins(1);

/// Spans on their way to the collector, on a thread of their own: whatever the collector does, no delivery
/// waits for it.
#[derive(Debug)]
pub struct Exporting {
    tracer: Tracer,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Why telemetry is not sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the variables name cannot be used.
    #[error("telemetry cannot be exported")]
    Connect(#[from] ConnectError),
    /// The system gave no thread or no runtime.
    #[error("the thread that exports telemetry cannot be started")]
    Thread(#[from] std::io::Error),
}

impl Exporting {
    /// Starts sending, where the variables say where to. `service` and `instance` name this process.
    ///
    /// # Errors
    ///
    /// Where a file or the endpoint cannot be used. A collector that is away is none: it may come.
    pub fn start(
        environment: Option<&Environment>,
        limits: Limits,
        service: &'static str,
        instance: &str,
    ) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let Some(environment) = environment else {
            return Ok(Self {
                tracer: Tracer::off(),
                stop,
                thread: None,
            });
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let exporter = {
            let _within = runtime.enter();
            crate::connect::connect(environment, service, instance)?
        };
        let (queue, spans) = mpsc::channel(environment.queue_spans.get());
        let counters = Counters::default();
        let tracer = Tracer::new(environment.sampling, limits, queue, counters.clone());
        let sender = Sender {
            exporter,
            counters,
            batch_spans: environment.batch_spans.get(),
            gather: environment.gather,
            told_at: None,
        };
        let until = stop.clone();
        let thread = thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || runtime.block_on(sender.run(spans, until)))?;
        tracing::info!(endpoint = environment.target.told(), "Traces are exported.");
        Ok(Self {
            tracer,
            stop,
            thread: Some(thread),
        })
    }

    /// What keeps traces.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Sends what waits, for up to three seconds, and ends. Blocks that long.
    pub fn finish(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("The thread that exports traces has panicked.");
        }
    }
}

struct Sender {
    exporter: SpanExporter,
    counters: Counters,
    batch_spans: usize,
    gather: Duration,
    told_at: Option<Instant>,
}

impl Sender {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, stop: CancellationToken) {
        let mut all = pin!(self.send_all(&mut spans, &stop));
        tokio::select! {
            () = &mut all => return,
            () = stop.cancelled() => {}
        }
        if timeout(LAST_SPANS_MAX, all).await.is_err() {
            tracing::warn!("The collector did not take the last spans in time.");
        }
    }

    /// Sends until told to stop, and then what is left.
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
            // What is not gathered in time goes with the next.
            timeout(self.gather, gathered).await.ok();
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let n_spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.counters.exported.inc_by(n_spans);
                self.told_at = None;
            }
            Err(error) => {
                self.counters.failed.inc_by(n_spans);
                if self
                    .told_at
                    .is_none_or(|told_at| told_at.elapsed() >= TELL_EVERY)
                {
                    self.told_at = Some(Instant::now());
                    tracing::warn!(%error, "The collector does not take spans; deliveries do not wait for it.");
                }
            }
        }
    }
}

/// The next span; `None` when told to stop and there are no more.
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
