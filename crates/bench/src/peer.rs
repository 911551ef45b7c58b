//! What people would use instead: Express or Fastify, BullMQ and `pg`, in `peer-bullmq/`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use harkara_core::secret::Secret;
use tokio::process::Command;

use crate::child::{Program, free_address, program};
use crate::servers::redis::Redis;

/// The folder of the peer, its packages installed; empty where it cannot run here.
const PEER: &str = "HARKARA_BENCH_PEER";

/// The name of its queue.
const QUEUE: &str = "bench";

/// Processes of a cluster.
const CLUSTER: &str = "2";

/// The peer's programs.
pub(crate) struct Peer(PathBuf);

/// A program of the peer that receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    Express,
    Fastify,
}

impl Peer {
    /// The peer, where the environment names it.
    pub(crate) fn find() -> Option<Self> {
        let folder = std::env::var_os(PEER).filter(|folder| !folder.is_empty())?;
        Some(Self(PathBuf::from(folder)))
    }

    /// Starts an ingress, as one process or as a cluster; returns it once it listens.
    pub(crate) async fn ingress(
        &self,
        framework: Framework,
        clustered: bool,
        redis: &Redis,
        secret: &Secret,
    ) -> Result<(Program, SocketAddr)> {
        let script = match framework {
            Framework::Express => "ingress-express.js",
            Framework::Fastify => "ingress-fastify.js",
        };
        let address = free_address()?;
        let mut command = self.node(redis);
        if clustered {
            command.arg("cluster.js").env("WORKERS", CLUSTER);
        }
        command
            .arg(script)
            .env("WEBHOOK_SECRET", secret.expose())
            .env("PORT", address.port().to_string());
        Ok((ready(script, &mut command).await?, address))
    }

    /// Starts a worker of one process with its usual concurrency.
    pub(crate) async fn worker(&self, redis: &Redis, database_url: &str) -> Result<Program> {
        let mut command = self.node(redis);
        command.arg("worker.js").env("DATABASE_URL", database_url);
        ready("worker.js", &mut command).await
    }

    /// How many jobs are not done.
    pub(crate) async fn n_jobs(&self, redis: &Redis) -> Result<usize> {
        let mut jobs = 0;
        for (command, state) in [
            ("LLEN", "wait"),
            ("LLEN", "active"),
            ("ZCARD", "prioritized"),
            ("ZCARD", "delayed"),
            ("ZCARD", "failed"),
        ] {
            let key = format!("bull:{QUEUE}:{state}");
            jobs += redis.number(&[command, &key]).await?;
        }
        Ok(jobs)
    }

    fn node(&self, redis: &Redis) -> Command {
        let mut command = program("node");
        command
            .current_dir(&self.0)
            .env("NODE_ENV", "production")
            .env("REDIS_URL", &redis.url)
            .env("QUEUE", QUEUE);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

/// The version of Node.js; empty where there is none.
pub(crate) async fn node_version() -> String {
    match Command::new("node").arg("--version").output().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => String::new(),
    }
}

async fn ready(name: &str, command: &mut Command) -> Result<Program> {
    let mut started = Program::start(name, command)
        .context("Node.js 20 or newer is needed; https://nodejs.org tells how to install it")?;
    started
        .wait_for(|line| (line.trim() == "ready").then_some(()))
        .await?;
    Ok(started)
}
