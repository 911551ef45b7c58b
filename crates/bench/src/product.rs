//! The product's binaries, started as an operator would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use harkara_core::durability::Durability;
use harkara_settings::Settings;
use harkara_testkit::{Binaries, ask_admin, is_ready};

use crate::bench::SECRET;
use crate::program::{self, Program, line_of};
use crate::redis_server::AppendFsync;

/// Often enough that a short run contains some exports.
const METRICS_EVERY_MS: &str = "1000";

/// The product on the private Redis.
pub(crate) struct Product {
    binaries: Binaries,
    redis_url: String,
}

/// A running ingress or worker.
pub(crate) struct Running {
    pub(crate) program: Program,
    admin: SocketAddr,
    /// From the start of the process until it was ready.
    pub(crate) start_ms: f64,
}

/// Where a process sends its traces and metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telemetry {
    /// Receives them over HTTP.
    pub(crate) collector: SocketAddr,
    /// Whether every trace is kept.
    pub(crate) keeps_all: bool,
}

/// The default settings.
pub(crate) fn default_settings() -> Result<Settings> {
    Settings::from_pairs::<&str, &str>([]).map_err(|error| anyhow!("{error}"))
}

impl Product {
    pub(crate) fn find(redis_url: &str) -> Result<Self> {
        Ok(Self {
            binaries: Binaries::find()?,
            redis_url: redis_url.to_owned(),
        })
    }

    /// The name and the size in bytes of each binary.
    pub(crate) fn sizes(&self) -> Result<Vec<(String, u64)>> {
        let size = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), fs::metadata(path)?.len()))
        };
        let Self { binaries, .. } = self;
        [&binaries.harkara, &binaries.ingress, &binaries.worker]
            .map(size)
            .into_iter()
            .collect()
    }

    /// Creates the schema in a database.
    pub(crate) async fn migrate(&self, postgres_url: &str) -> Result<()> {
        Ok(self.binaries.migrate(postgres_url).await?)
    }

    /// Starts an ingress with one server thread; returns it once it is ready, with the address at which it
    /// receives. It answers at the durability level that a reply of Redis with this policy gives.
    pub(crate) async fn ingress(
        &self,
        postgres_url: &str,
        appendfsync: AppendFsync,
        telemetry: Option<Telemetry>,
    ) -> Result<(Running, SocketAddr)> {
        let durability = match appendfsync {
            AppendFsync::Everysec => Durability::Appended,
            AppendFsync::Always => Durability::Fsynced,
        };
        let mut command = self.command(&self.binaries.ingress, postgres_url, telemetry);
        command
            .env("HARKARA__INGRESS__BIND", "127.0.0.1:0")
            .env("HARKARA__INGRESS__ADMIN_BIND", "127.0.0.1:0")
            .env("HARKARA__INGRESS__THREADS", "1")
            .env("HARKARA__INGRESS__DURABILITY", durability.as_str())
            .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", SECRET);
        let (ingress, address) = start("harkara-ingress", &mut command).await?;
        Ok((ingress, address.context("the ingress logs no address")?))
    }

    /// Starts a worker that commits up to `committers` batches concurrently; returns it once it is ready.
    pub(crate) async fn worker(
        &self,
        postgres_url: &str,
        committers: usize,
        telemetry: Option<Telemetry>,
    ) -> Result<Running> {
        let mut command = self.command(&self.binaries.worker, postgres_url, telemetry);
        let committers = committers.to_string();
        command
            .env("HARKARA__WORKER__ADMIN_BIND", "127.0.0.1:0")
            .env("HARKARA__WORKER__BATCHES_IN_FLIGHT_MAX", committers);
        let (worker, _) = start("harkara-worker", &mut command).await?;
        Ok(worker)
    }

    fn command(&self, binary: &Path, postgres_url: &str, telemetry: Option<Telemetry>) -> Command {
        let mut command = program::command(binary);
        command
            .env("HARKARA__REDIS__URL", &self.redis_url)
            .env("HARKARA__POSTGRES__URL", postgres_url)
            .env("HARKARA__LOG__FORMAT", "json");
        if let Some(telemetry) = telemetry {
            let collector = format!("http://{}", telemetry.collector);
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                .env("OTEL_METRIC_EXPORT_INTERVAL", METRICS_EVERY_MS);
            if telemetry.keeps_all {
                command.env("HARKARA__TRACE__ORDINARY_PER_S_MAX", "1000000");
            }
        }
        command
    }
}

impl Running {
    /// The metrics at `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let answer = ask_admin(self.admin, "/metrics").await;
        answer.with_context(|| format!("{} does not report its metrics", self.program.name))
    }
}

async fn start(name: &str, command: &mut Command) -> Result<(Running, Option<SocketAddr>)> {
    let mut program = Program::start(name, command)?;
    let (address, admin) = program
        .wait_for(async |log| {
            let (address, admin) = line_of(log, addresses)?;
            is_ready(admin).await.then_some((address, admin))
        })
        .await?;
    let start_ms = program.started.elapsed().as_secs_f64() * 1e3;
    let running = Running {
        program,
        admin,
        start_ms,
    };
    Ok((running, address))
}

/// The public address, if there is one, and the admin address in the log line that reports the start.
fn addresses(line: &str) -> Option<(Option<SocketAddr>, SocketAddr)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let address = |field: &str| line.get(field)?.as_str()?.parse().ok();
    Some((address("ingress.address"), address("admin.address")?))
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn addresses_are_read_from_the_log() {
        let ingress = r#"{"level":"INFO","message":"Receiving webhooks.","ingress.address":"127.0.0.1:1","admin.address":"127.0.0.1:2"}"#;
        let (public, admin) = addresses(ingress).unwrap();
        assert_eq!((public.unwrap().port(), admin.port()), (1, 2));
        let worker = r#"{"message":"Working.","admin.address":"127.0.0.1:3"}"#;
        assert_eq!(addresses(worker).map(|(public, _)| public), Some(None));
        assert_eq!(addresses("not JSON"), None);
    }
}
