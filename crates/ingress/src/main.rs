//! The process that receives Razorpay's webhooks.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use harkara_ingress::App;
use harkara_runtime::shutdown::Shutdown;
use harkara_runtime::{failure, logging, telemetry};
use harkara_settings::Settings;
use harkara_settings::instance;

/// What collectors know this process by.
const SERVICE: &str = "harkara-ingress";

/// Receives Razorpay webhooks, verifies them and appends them to Redis.
#[derive(Parser)]
#[command(name = "harkara-ingress", version)]
struct Arguments {
    /// A TOML file of settings; the environment goes before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

// Requests are served by the server's own threads; this one only starts and stops them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    failure::exit_code("harkara-ingress", run(&Arguments::parse()).await)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(arguments.config.as_deref())?;
    logging::init(&settings.log)?;
    let stop = Shutdown::on_signals().context("signals cannot be listened for")?;
    let instance = instance::name();
    let exporting = telemetry::start(&settings.trace, SERVICE, &instance)?;
    let app = App::build(&settings, exporting.tracer()).await?;
    let metrics = telemetry::export_metrics(app.metrics(), SERVICE, &instance)?;
    let ran = app.run_until_stopped(stop).await;
    telemetry::finish(exporting, metrics);
    Ok(ran?)
}
