//! What people would use instead: Express or Fastify, `BullMQ` and `pg`, in `peer-bullmq/`.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::SECRET;
use crate::program::{self, Program, line_of};
use crate::redis_server::RedisServer;

/// Names the peer's folder, with its packages installed; empty if the peer cannot run here.
const PEER: &str = "HARKARA_BENCH_PEER";

/// The name of its queue.
const QUEUE: &str = "bench";

/// Processes of a cluster.
const CLUSTER: &str = "2";

/// The peer's programs.
pub(crate) struct Peer(PathBuf);

/// An ingress of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerIngress {
    pub(crate) framework: Framework,
    /// Whether it runs as a cluster.
    pub(crate) clustered: bool,
}

/// What an ingress of the peer is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    Express,
    Fastify,
}

impl fmt::Display for PeerIngress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes = ["1 process", "cluster of 2"][usize::from(self.clustered)];
        write!(f, "{:?} + BullMQ, {processes}", self.framework)
    }
}

impl Peer {
    /// The peer, if the environment names it.
    pub(crate) fn find() -> Option<Self> {
        let folder = std::env::var_os(PEER).filter(|folder| !folder.is_empty())?;
        Some(Self(PathBuf::from(folder)))
    }

    /// Starts an ingress; returns it once it listens.
    pub(crate) async fn ingress(
        &self,
        ingress: PeerIngress,
        redis: &RedisServer,
    ) -> Result<(Program, SocketAddr)> {
        let script = match ingress.framework {
            Framework::Express => "ingress-express.js",
            Framework::Fastify => "ingress-fastify.js",
        };
        // It cannot choose a free port itself.
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let address = listener.local_addr()?;
        drop(listener);
        let mut command = self.node(redis);
        if ingress.clustered {
            command.arg("cluster.js").env("WORKERS", CLUSTER);
        }
        command
            .arg(script)
            .env("WEBHOOK_SECRET", SECRET)
            .env("PORT", address.port().to_string());
        Ok((ready(script, &mut command).await?, address))
    }

    /// Starts a worker of one process with its usual concurrency.
    pub(crate) async fn worker(&self, redis: &RedisServer, database_url: &str) -> Result<Program> {
        let mut command = self.node(redis);
        command.arg("worker.js").env("DATABASE_URL", database_url);
        ready("worker.js", &mut command).await
    }

    /// The number of jobs that are not done.
    pub(crate) async fn n_jobs(&self, redis: &RedisServer) -> Result<usize> {
        let mut jobs = 0;
        for (command, state) in [
            ("LLEN", "wait"),
            ("LLEN", "active"),
            ("ZCARD", "prioritized"),
            ("ZCARD", "delayed"),
            ("ZCARD", "failed"),
        ] {
            let key = format!("bull:{QUEUE}:{state}");
            jobs += redis.number(command, &key).await?;
        }
        Ok(jobs)
    }

    fn node(&self, redis: &RedisServer) -> Command {
        let mut command = program::command("node");
        command
            .current_dir(&self.0)
            .env("NODE_ENV", "production")
            .env("REDIS_URL", &redis.url)
            .env("QUEUE", QUEUE)
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }
}

/// The version of Node.js; empty if it is not installed.
pub(crate) fn node_version() -> String {
    match Command::new("node").arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => String::new(),
    }
}

async fn ready(name: &str, command: &mut Command) -> Result<Program> {
    let mut program = Program::start(name, command)
        .context("Node.js 20 or later is required; see https://nodejs.org to install it")?;
    program
        .wait_for(async |log| line_of(log, |line| (line.trim() == "ready").then_some(())))
        .await?;
    Ok(program)
}
