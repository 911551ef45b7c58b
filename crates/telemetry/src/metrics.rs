//! The metrics of a process and their export.

mod client;
mod otlp;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harkara_core::causes::with_causes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::background::{Background, LAST_EXPORT_MAX, StartError, WarningLimit};
use crate::catalogue::TELEMETRY_METRIC_EXPORTS;
use crate::connect::resource;
use crate::environment::{MetricsEnvironment, Variables};
use client::Client;
use otlp::Interval;

/// All metrics of a process. Cheap to clone; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    exported: Counter,
    failed: Counter,
}

/// Exports metrics.
#[derive(Debug)]
pub struct MetricsExporter(Option<Background>);

impl Metrics {
    /// The metrics of a complete registry, and those of their own export.
    #[must_use]
    pub fn of(mut registry: Registry) -> Self {
        let [exported, failed] =
            TELEMETRY_METRIC_EXPORTS.per_value(&mut registry, Counter::default);
        Self {
            registry: Arc::new(registry),
            exported,
            failed,
        }
    }

    /// The registry to scrape.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl MetricsExporter {
    /// Starts to export if the `OTEL_*` variables ask for it. `service` and `instance` name this process. A
    /// collector that is unavailable is no error.
    pub fn start(
        variables: Variables<'_>,
        metrics: Metrics,
        service: &'static str,
        instance: &str,
    ) -> Result<Self, StartError> {
        let Some(environment) = MetricsEnvironment::read(variables)? else {
            return Ok(Self(None));
        };
        let target = &environment.target;
        let runtime = Background::runtime()?;
        let client = {
            let _within = runtime.enter();
            Client::connect(target)?
        };
        let resource = ResourceAttributesWithSchema::from(&resource(target, service, instance));
        let sender = MetricsSender {
            client,
            metrics,
            resource: Resource {
                attributes: resource.attributes.0,
                ..Resource::default()
            },
            started_at: nanos_since_epoch(),
            every: environment.every,
            answer_max: target.timeout,
            warnings: WarningLimit::default(),
        };
        let background = Background::start("metrics", runtime, |stop| sender.run(stop))?;
        tracing::info!(endpoint = target.redacted_endpoint(), "Exporting metrics.");
        Ok(Self(Some(background)))
    }

    /// Exports once more, for up to three seconds. Blocks that long.
    pub fn finish(self) {
        if let Some(background) = self.0 {
            background.finish();
        }
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("cannot encode the metrics")]
    Encode(#[from] fmt::Error),
    #[error("the collector did not answer in time")]
    TooLate(#[from] Elapsed),
    #[error(transparent)]
    Send(#[from] client::SendError),
}

struct MetricsSender {
    client: Client,
    metrics: Metrics,
    resource: Resource,
    /// Nanoseconds since 1970.
    started_at: u64,
    every: Duration,
    answer_max: Duration,
    warnings: WarningLimit,
}

impl MetricsSender {
    async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval_at(Instant::now() + self.every, self.every);
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
                self.warnings.reset();
            }
            Err(error) => {
                self.metrics.failed.inc();
                if self.warnings.admits() {
                    tracing::warn!(
                        error = with_causes(&error),
                        "The collector does not take metrics; /metrics still serves them."
                    );
                }
            }
        }
    }

    async fn try_to_send(&mut self, answer_max: Duration) -> Result<(), ExportError> {
        let request = self.request()?;
        Ok(timeout(answer_max, self.client.send(request)).await??)
    }

    fn request(&self) -> Result<ExportMetricsServiceRequest, fmt::Error> {
        let interval = Interval {
            from: self.started_at,
            until: nanos_since_epoch(),
        };
        let scope_metrics = ScopeMetrics {
            metrics: otlp::metrics(self.metrics.registry(), interval)?,
            ..ScopeMetrics::default()
        };
        Ok(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![scope_metrics],
                ..ResourceMetrics::default()
            }],
        })
    }
}

fn nanos_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
