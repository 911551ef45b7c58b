//! The product's binaries, started as an operator would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use harkara_core::durability::Durability;
use harkara_core::secret::Secret;
use harkara_settings::Settings;
use harkara_testkit::{Binaries, ask_admin, is_ready};
use tokio::process::Command;

use crate::child::{Program, program};
use crate::figures::milliseconds;
use crate::servers::redis::AppendFsync;

/// Time between two looks at whether a process is ready.
const READY_LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a process that runs may take to say that it is ready.
const READY_BOUND: Duration = Duration::from_secs(20);

/// Often, so that a short run has some of it.
const METRICS_EVERY_MS: &str = "1000";

/// The product, to be started.
pub(crate) struct Product(Binaries);

/// A running ingress or worker.
pub(crate) struct Running {
    pub(crate) program: Program,
    /// Where it receives; the ingress only.
    pub(crate) address: Option<SocketAddr>,
    admin: SocketAddr,
    /// From the start of the process until it was ready.
    pub(crate) start_ms: f64,
}

/// Where a process sends its traces and metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telemetry {
    /// What takes them, over HTTP.
    pub(crate) collector: SocketAddr,
    /// Whether every trace is kept.
    pub(crate) keeps_all: bool,
}

/// The servers that a process works with.
pub(crate) struct Stores<'a> {
    pub(crate) redis_url: &'a str,
    pub(crate) postgres_url: &'a str,
    pub(crate) telemetry: Option<Telemetry>,
}

/// The settings that a process has where nothing is set.
pub(crate) fn default_settings() -> Result<Settings> {
    Settings::from_pairs::<&str, &str>([]).map_err(|faults| anyhow!("{faults}"))
}

impl Product {
    pub(crate) fn find() -> Result<Self> {
        Ok(Self(Binaries::find()?))
    }

    /// Each binary with its size in bytes.
    pub(crate) fn sizes(&self) -> Result<Vec<(String, u64)>> {
        let paths = [self.0.harkara(), self.0.ingress(), self.0.worker()];
        let size = |path: &PathBuf| {
            let name = path.file_name().context("a binary has a name")?;
            Ok((
                name.to_string_lossy().into_owned(),
                fs::metadata(path)?.len(),
            ))
        };
        paths.iter().map(size).collect()
    }

    /// Gives a database the schema.
    pub(crate) async fn migrate(&self, postgres_url: &str) -> Result<()> {
        Ok(self.0.migrate(postgres_url).await?)
    }

    /// An ingress of one server thread, ready, that answers when Redis, which fsyncs so, has answered.
    pub(crate) async fn ingress(
        &self,
        stores: &Stores<'_>,
        secret: &Secret,
        appendfsync: AppendFsync,
    ) -> Result<Running> {
        let durability = match appendfsync {
            AppendFsync::Everysec => Durability::Appended,
            AppendFsync::Always => Durability::Fsynced,
        };
        let mut command = command(&self.0.ingress(), stores);
        command
            .env("HARKARA__INGRESS__BIND", "127.0.0.1:0")
            .env("HARKARA__INGRESS__ADMIN_BIND", "127.0.0.1:0")
            .env("HARKARA__INGRESS__THREADS", "1")
            .env("HARKARA__INGRESS__DURABILITY", durability.as_str())
            .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", secret.expose());
        start("harkara-ingress", &mut command).await
    }

    /// A worker that commits up to so many batches at once, ready.
    pub(crate) async fn worker(&self, stores: &Stores<'_>, committers: usize) -> Result<Running> {
        let mut command = command(&self.0.worker(), stores);
        command
            .env("HARKARA__WORKER__ADMIN_BIND", "127.0.0.1:0")
            .env(
                "HARKARA__WORKER__BATCHES_IN_FLIGHT_MAX",
                committers.to_string(),
            );
        start("harkara-worker", &mut command).await
    }
}

fn command(binary: &Path, stores: &Stores<'_>) -> Command {
    let mut command = program(binary);
    command
        .env("HARKARA__REDIS__URL", stores.redis_url)
        .env("HARKARA__POSTGRES__URL", stores.postgres_url)
        .env("HARKARA__LOG__FORMAT", "json");
    if let Some(telemetry) = stores.telemetry {
        command
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", telemetry.collector),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRIC_EXPORT_INTERVAL", METRICS_EVERY_MS);
        if telemetry.keeps_all {
            command.env("HARKARA__TRACE__ORDINARY_PER_S_MAX", "1000000");
        }
    }
    command
}

impl Running {
    /// Where the ingress receives.
    pub(crate) fn public(&self) -> Result<SocketAddr> {
        self.address.context("only an ingress receives")
    }

    /// What it tells at `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let answer = ask_admin(self.admin, "/metrics").await;
        answer.with_context(|| format!("{} does not tell its metrics", self.program.name))
    }

    /// Tells it to end, and waits for it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.program.stop().await
    }
}

async fn start(name: &str, command: &mut Command) -> Result<Running> {
    let mut program = Program::start(name, command)?;
    let (address, admin) = program.wait_for(addresses).await?;
    let until = tokio::time::Instant::now() + READY_BOUND;
    while !is_ready(admin).await {
        if tokio::time::Instant::now() > until {
            bail!("{name} does not become ready");
        }
        tokio::time::sleep(READY_LOOK_EVERY).await;
    }
    let start = u64::try_from(program.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Running {
        program,
        address,
        admin,
        start_ms: milliseconds(start),
    })
}

/// The public address, where there is one, and the admin address, out of the line of the log that
/// tells of the start.
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
