//! The process that receives Razorpay's webhooks.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{App, StartError};
use anyhow::Context;
use clap::Parser;
use harkara_runtime::shutdown::Shutdown;
use harkara_runtime::{failure, logging};
use harkara_settings::{Settings, instance, variable};
use harkara_telemetry::{Limits, MetricsExporter, TraceExporter};

/// The name of this process in traces and metrics.
const SERVICE: &str = "harkara-ingress";

/// Receives Razorpay webhooks, verifies them and appends them to Redis.
#[derive(Parser)]
#[command(name = "harkara-ingress", version)]
struct Arguments {
    /// A TOML settings file; environment variables take precedence.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

// Requests are served by the server's own threads; this one only starts and stops them.
/// Runs until it is asked to stop.
#[must_use]
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> ExitCode {
    let ran = run(&Arguments::parse()).await;
    failure::exit_code(SERVICE, ran, |error| {
        error.downcast_ref().and_then(StartError::remedy)
    })
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(arguments.config.as_deref())?;
    logging::init(&settings.log)?;
    let stop = Shutdown::on_signals().context("cannot install signal handlers")?;
    let instance = instance::name();
    let limits = Limits {
        ordinary_per_s_max: settings.trace.ordinary_per_s_max,
        slow: settings.trace.slow,
    };
    let traces = TraceExporter::start(&variable, limits, SERVICE, &instance)?;
    let app = App::build(&settings, traces.tracer()).await?;
    let metrics = MetricsExporter::start(&variable, app.metrics(), SERVICE, &instance)?;
    let ran = app.run_until_stopped(stop).await;
    harkara_telemetry::finish(traces, metrics);
    Ok(ran?)
}
