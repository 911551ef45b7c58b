//! Telemetry of the process: traces and metrics, where the standard `OTEL_*` variables say where to.

use std::{env, thread};

use harkara_telemetry::{
    Environment, Exporting, InvalidVariable, Limits, Metrics, MetricsEnvironment, MetricsExporting,
    StartError,
};

use harkara_settings::TraceSettings;

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable means nothing.
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
    /// What the variables name cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts what the variables ask for. `service` and `instance` name this process to the collector.
pub fn start(
    settings: &TraceSettings,
    service: &'static str,
    instance: &str,
) -> Result<Exporting, TelemetryError> {
    let environment = Environment::read(&|name| env::var(name).ok())?;
    let limits = Limits {
        ordinary_per_s_max: settings.ordinary_per_s_max,
        slow: settings.slow,
    };
    Ok(Exporting::start(
        environment.as_ref(),
        limits,
        service,
        instance,
    )?)
}

/// Starts the export of metrics, where the variables ask for it. What is scraped stays the same.
pub fn export_metrics(
    metrics: Metrics,
    service: &'static str,
    instance: &str,
) -> Result<MetricsExporting, TelemetryError> {
    let environment = MetricsEnvironment::read(&|name| env::var(name).ok())?;
    Ok(MetricsExporting::start(
        environment.as_ref(),
        metrics,
        service,
        instance,
    )?)
}

/// Sends what is left of both, at the same time, for up to three seconds, and ends. Blocks that long.
pub fn finish(traces: Exporting, metrics: MetricsExporting) {
    thread::scope(|scope| {
        scope.spawn(|| traces.finish());
        metrics.finish();
    });
}
