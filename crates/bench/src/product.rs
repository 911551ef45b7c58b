//! The product's binaries, started as an operator would.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use harkara_core::durability::Durability;
use harkara_core::secret::Secret;
use harkara_runtime::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::child::{Program, program};
use crate::figures::milliseconds;
use crate::servers::redis::AppendFsync;

/// Where the binaries are; without it, beside this one.
const BINARIES: &str = "HARKARA_BENCH_BINARIES";

/// Time between two looks at whether a process is ready.
const READY_LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a process that runs may take to say that it is ready.
const READY_BOUND: Duration = Duration::from_secs(20);

/// The folder of the binaries.
pub(crate) struct Binaries(PathBuf);

/// A running ingress or worker.
pub(crate) struct Running {
    pub(crate) program: Program,
    /// Where it receives; the ingress only.
    pub(crate) address: Option<SocketAddr>,
    admin: SocketAddr,
    /// From the start of the process until it was ready.
    pub(crate) start_ms: f64,
}

/// The servers that a process works with.
pub(crate) struct Stores<'a> {
    pub(crate) redis_url: &'a str,
    pub(crate) postgres_url: &'a str,
}

/// The settings that a process has where nothing is set.
pub(crate) fn default_settings() -> Result<Settings> {
    Settings::from_map(BTreeMap::new()).map_err(|faults| anyhow!("{faults}"))
}

impl Binaries {
    pub(crate) fn find() -> Result<Self> {
        let folder = match std::env::var_os(BINARIES) {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_exe()?
                .parent()
                .map(Path::to_owned)
                .context("a program is in a folder")?,
        };
        for name in ["harkara", "harkara-ingress", "harkara-worker"] {
            let path = folder.join(name);
            if !path.is_file() {
                bail!(
                    "there is no {}; `cargo dev bench` builds it, and {BINARIES} names its folder",
                    path.display()
                );
            }
        }
        Ok(Self(folder))
    }

    /// The size of a binary in bytes.
    pub(crate) fn size_of(&self, name: &str) -> Result<u64> {
        Ok(fs::metadata(self.0.join(name))?.len())
    }

    /// Gives a database the schema.
    pub(crate) async fn migrate(&self, database_url: &str) -> Result<()> {
        let output = program(self.0.join("harkara"))
            .arg("migrate")
            .env("HARKARA__POSTGRES__URL", database_url)
            .output()
            .await
            .context("harkara cannot be started")?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            bail!("harkara migrate failed: {told}");
        }
        Ok(())
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
        let mut command = self.command("harkara-ingress", stores);
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
        let mut command = self.command("harkara-worker", stores);
        command
            .env("HARKARA__WORKER__ADMIN_BIND", "127.0.0.1:0")
            .env(
                "HARKARA__WORKER__BATCHES_IN_FLIGHT_MAX",
                committers.to_string(),
            );
        start("harkara-worker", &mut command).await
    }

    fn command(&self, name: &str, stores: &Stores<'_>) -> Command {
        let mut command = program(self.0.join(name));
        command
            .env("HARKARA__REDIS__URL", stores.redis_url)
            .env("HARKARA__POSTGRES__URL", stores.postgres_url)
            .env("HARKARA__LOG__FORMAT", "json");
        command
    }
}

impl Running {
    /// Where the ingress receives.
    pub(crate) fn public(&self) -> Result<SocketAddr> {
        self.address.context("only an ingress receives")
    }

    /// What it tells at `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let answer = get(self.admin, "/metrics").await;
        let answer =
            answer.with_context(|| format!("{} does not tell its metrics", self.program.name))?;
        String::from_utf8(answer).context("metrics are text")
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

async fn is_ready(admin: SocketAddr) -> bool {
    get(admin, "/readyz")
        .await
        .is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

/// The answer to a request, its head included.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
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
