//! The metrics of a process, and their way to a collector.

mod client;
mod otlp;
mod text;

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::error::Elapsed;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::catalogue::TELEMETRY_METRIC_EXPORTS;
use crate::connect;
use crate::environment::MetricsEnvironment;
use crate::export::{StartError, TELL_EVERY};
use client::Client;
use otlp::Span;

/// How long the end of the process waits for the last export.
const LAST_EXPORT_MAX: Duration = Duration::from_secs(3);

/// Everything that a process tells. Cheap to clone; all clones show the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    exported: Counter,
    failed: Counter,
}

/// Metrics on their way to the collector, on a thread of their own.
#[derive(Debug)]
pub struct MetricsExporting {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    /// The metrics of a registry to which nothing is added any more, but for how their own export fares.
    #[must_use]
    pub fn of(mut registry: Registry) -> Self {
        let by_outcome = Family::<[(&'static str, &'static str); 1], Counter>::default();
        TELEMETRY_METRIC_EXPORTS.register(&mut registry, by_outcome.clone());
        let of = |outcome| by_outcome.get_or_create_owned(&[("outcome", outcome)]);
        Self {
            exported: of("exported"),
            failed: of("failed"),
            registry: Arc::new(registry),
        }
    }

    /// What is scraped.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl MetricsExporting {
    /// Starts sending, where the variables say where to. `service` and `instance` name this process.
    ///
    /// # Errors
    ///
    /// Where a file, a header or the endpoint cannot be used. A collector that is away is none: it may come.
    pub fn start(
        environment: Option<&MetricsEnvironment>,
        metrics: Metrics,
        service: &'static str,
        instance: &str,
    ) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let Some(environment) = environment else {
            return Ok(Self { stop, thread: None });
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = {
            let _within = runtime.enter();
            Client::connect(&environment.target)?
        };
        let resource = connect::resource(&environment.target, service, instance);
        let resource = ResourceAttributesWithSchema::from(&resource);
        let sender = Sender {
            client,
            metrics,
            resource: Resource {
                attributes: resource.attributes.0,
                ..Resource::default()
            },
            started_at: nanos_since_epoch(),
            every: environment.every,
            answer_max: environment.target.timeout,
            told_at: None,
        };
        let until = stop.clone();
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || runtime.block_on(sender.run(until)))?;
        tracing::info!(
            endpoint = environment.target.told(),
            "Metrics are exported."
        );
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Sends once more, for up to three seconds, and ends. Blocks that long.
    pub fn finish(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("The thread that exports metrics has panicked.");
        }
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the metrics cannot be written")]
    Unwritable(#[from] fmt::Error),
    #[error(transparent)]
    Unreadable(#[from] text::Unreadable),
    #[error("the collector does not answer in time")]
    TooLate(#[from] Elapsed),
    #[error(transparent)]
    Send(#[from] client::SendError),
}

struct Sender {
    client: Client,
    metrics: Metrics,
    resource: Resource,
    /// Nanoseconds since 1970.
    started_at: u64,
    every: Duration,
    answer_max: Duration,
    told_at: Option<Instant>,
}

impl Sender {
    async fn run(mut self, stop: CancellationToken) {
        let first = tokio::time::Instant::now() + self.every;
        let mut ticks = interval_at(first, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = async {
                ticks.tick().await;
                self.send(self.answer_max).await;
            };
            tokio::select! {
                () = sent => {}
                () = stop.cancelled() => break,
            }
        }
        self.send(self.answer_max.min(LAST_EXPORT_MAX)).await;
    }

    async fn send(&mut self, answer_max: Duration) {
        match self.try_to_send(answer_max).await {
            Ok(()) => {
                self.metrics.exported.inc();
                self.told_at = None;
            }
            Err(error) => {
                self.metrics.failed.inc();
                if self
                    .told_at
                    .is_none_or(|told_at| told_at.elapsed() >= TELL_EVERY)
                {
                    self.told_at = Some(Instant::now());
                    tracing::warn!(%error, "The collector does not take metrics; /metrics shows them.");
                }
            }
        }
    }

    async fn try_to_send(&mut self, answer_max: Duration) -> Result<(), ExportError> {
        let request = self.request()?;
        Ok(timeout(answer_max, self.client.send(request)).await??)
    }

    fn request(&self) -> Result<ExportMetricsServiceRequest, ExportError> {
        let mut text = String::new();
        encode(&mut text, self.metrics.registry())?;
        let span = Span {
            from: self.started_at,
            until: nanos_since_epoch(),
        };
        let metrics = otlp::metrics(text::read(&text)?, span);
        Ok(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        })
    }
}

fn nanos_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
