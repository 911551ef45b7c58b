//! The process that brings deliveries from Redis to PostgreSQL.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{App, RunError, StartError};
use anyhow::Context;
use clap::Parser;
use harkara_runtime::shutdown::Shutdown;
use harkara_runtime::{failure, logging};
use harkara_settings::{Settings, variable};
use harkara_telemetry::{Limits, MetricsExporter, TraceExporter};

/// The service name in telemetry.
const SERVICE: &str = "harkara-worker";

/// Claims deliveries from Redis, applies them to PostgreSQL and acknowledges them.
#[derive(Parser)]
#[command(name = "harkara-worker", version)]
struct Arguments {
    /// A TOML settings file; environment variables take precedence.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

// One thread: reading bodies takes a fifth of what PostgreSQL takes for them, so a second core is better
// given to another worker, and without it nothing is handed from thread to thread.
/// Runs until it is asked to stop.
#[must_use]
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> ExitCode {
    let ran = run(&Arguments::parse()).await;
    failure::exit_code(SERVICE, ran, |error| {
        let start = error.downcast_ref().and_then(StartError::remedy);
        start.or_else(|| error.downcast_ref().and_then(RunError::remedy))
    })
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(arguments.config.as_deref())?;
    logging::init(&settings.log)?;
    let stop = Shutdown::on_signals().context("cannot install signal handlers")?;
    let limits = Limits {
        ordinary_per_s_max: settings.trace.ordinary_per_s_max,
        slow: settings.trace.slow,
    };
    let traces = TraceExporter::start(&variable, limits, SERVICE, &settings.worker.consumer)?;
    let app = App::build(&settings, traces.tracer()).await?;
    let metrics =
        MetricsExporter::start(&variable, app.metrics(), SERVICE, &settings.worker.consumer)?;
    let ran = app.run_until_stopped(stop).await;
    harkara_telemetry::finish(traces, metrics);
    Ok(ran?)
}
