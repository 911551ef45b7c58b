//! Redis Sentinel, with replicas among which it chooses when the primary is gone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use harkara_launcher::Process;
use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue, Value, cmd};

use crate::folder::Folder;
use crate::redis_server::RedisServer;
use crate::{free_port, wait_until};

/// The default name of the primary.
const PRIMARY: &str = "mymaster";

/// Two of them must agree.
const SENTINELS: usize = 3;

/// How long sentinels may take to find each other; they announce themselves every two seconds.
const START_BOUND: Duration = Duration::from_secs(30);

/// Three sentinels that watch a primary and its replicas. All but the primary end with this value.
pub struct Sentinels {
    _replicas: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    /// Holds the configuration, which sentinels rewrite.
    _folder: Folder,
    _process: Process,
}

impl Sentinels {
    /// Gives a primary replicas, and sentinels that consider it down after a second.
    pub async fn over(primary: &RedisServer, n_replicas: usize, arguments: &[&str]) -> Self {
        let port = primary.port.to_string();
        primary.configure("repl-diskless-sync-delay", "0").await;
        let replica = [
            "--repl-diskless-sync-delay",
            "0",
            "--replicaof",
            "127.0.0.1",
            &port,
        ];
        let arguments = [arguments, &replica].concat();
        let mut replicas = Vec::new();
        for _ in 0..n_replicas {
            replicas.push(RedisServer::start(&arguments).await);
        }
        wait_until("the replicas follow", START_BOUND, async || {
            n_following(&mut primary.connection().await).await == n_replicas
        })
        .await;
        let sentinels = Self {
            _replicas: replicas,
            sentinels: (0..SENTINELS)
                .map(|_| Sentinel::start(primary.port))
                .collect(),
        };
        wait_until("the sentinels know all", START_BOUND, async || {
            sentinels.know(n_replicas).await
        })
        .await;
        sentinels
    }

    /// Their hosts and ports, separated by commas.
    #[must_use]
    pub fn addresses(&self) -> String {
        let sentinels = self.sentinels.iter();
        let addresses = sentinels.map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Promotes a replica; the current primary becomes its replica.
    pub async fn fail_over(&self) {
        let answer: Option<String> = self.sentinels[0].ask("failover").await;
        answer.expect("the sentinel finds a replica to promote");
    }

    /// Waits until all of them name the same primary, other than the given one.
    pub async fn failed_over(&self, from: &RedisServer, limit: Duration) {
        wait_until(
            "the sentinels name another primary",
            limit,
            async || matches!(self.primary_port().await, Some(port) if port != from.port),
        )
        .await;
    }

    /// A connection to the primary; `None` while the sentinels disagree, or it does not answer.
    pub async fn primary(&self) -> Option<MultiplexedConnection> {
        connection(self.primary_port().await?).await
    }

    /// Replicas that have caught up with the primary.
    pub async fn n_following(&self) -> usize {
        match self.primary().await {
            Some(mut primary) => n_following(&mut primary).await,
            None => 0,
        }
    }

    async fn primary_port(&self) -> Option<u16> {
        let mut agreed = None;
        for sentinel in &self.sentinels {
            let address: Option<(String, u16)> = sentinel.ask("get-master-addr-by-name").await;
            let (_, port) = address?;
            if *agreed.get_or_insert(port) != port {
                return None;
            }
        }
        agreed
    }

    async fn know(&self, n_replicas: usize) -> bool {
        for sentinel in &self.sentinels {
            let replicas: Option<Vec<Value>> = sentinel.ask("replicas").await;
            let others: Option<Vec<Value>> = sentinel.ask("sentinels").await;
            let n = |found: Option<Vec<Value>>| found.map(|found| found.len());
            if (n(replicas), n(others)) != (Some(n_replicas), Some(SENTINELS - 1)) {
                return false;
            }
        }
        true
    }
}

async fn n_following(redis: &mut MultiplexedConnection) -> usize {
    let info = cmd("INFO").arg("replication").query_async(redis).await;
    let replication: String = info.unwrap_or_default();
    replication.matches("state=online").count()
}

impl Sentinel {
    fn start(primary_port: u16) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let quorum = SENTINELS / 2 + 1;
        let configuration = format!(
            "port {port}\n\
             bind 127.0.0.1\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {primary_port} {quorum}\n\
             sentinel down-after-milliseconds {PRIMARY} 1000\n\
             sentinel failover-timeout {PRIMARY} 10000\n"
        );
        folder.write("sentinel.conf", &configuration);
        let mut command = Command::new("redis-server");
        command
            .arg(folder.file("sentinel.conf"))
            .arg("--sentinel")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        let process = Process::start(&mut command, Path::new(&folder.file("log")))
            .expect("redis-server is on the PATH");
        Self {
            port,
            _folder: folder,
            _process: process,
        }
    }

    /// The answer of `SENTINEL what` about the primary; `None` where there is none.
    async fn ask<T: FromRedisValue>(&self, what: &str) -> Option<T> {
        let mut connection = connection(self.port).await?;
        let mut command = cmd("SENTINEL");
        command.arg(&[what, PRIMARY]);
        command.query_async(&mut connection).await.ok()
    }
}

async fn connection(port: u16) -> Option<MultiplexedConnection> {
    let client = Client::open(("127.0.0.1", port)).ok()?;
    client.get_multiplexed_async_connection().await.ok()
}
