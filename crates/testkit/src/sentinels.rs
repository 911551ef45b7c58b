//! Redis Sentinel, with replicas among which it chooses when the primary is gone.

use std::process::Stdio;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue, Value, cmd};
use tokio::process::{Child, Command};

use crate::folder::Folder;
use crate::free_port::free_port;
use crate::redis_server::RedisServer;
use crate::wait_until;

/// The name that sentinels know the primary by if nobody chooses another.
const PRIMARY: &str = "mymaster";

/// How many there are. Two must agree.
const SENTINELS: usize = 3;

/// From a start until all know each other, which they tell every two seconds.
const START_BOUND: Duration = Duration::from_secs(30);

/// Three sentinels that watch over a primary and its replicas. All but the primary end with this value.
pub struct Sentinels {
    _replicas: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    /// They write down in their configuration what they find.
    _folder: Folder,
    _process: Child,
}

impl Sentinels {
    /// Gives a primary so many replicas, and sentinels that find it gone after a second.
    pub async fn over(primary: &RedisServer, n_replicas: usize, arguments: &[&str]) -> Self {
        let port = primary.port.to_string();
        let at_once = ["--repl-diskless-sync-delay", "0"];
        primary.configure(&at_once[0][2..], at_once[1]).await;
        let of = ["--replicaof", "127.0.0.1", &port];
        let arguments = [arguments, &at_once, &of].concat();
        let mut replicas = Vec::new();
        for _ in 0..n_replicas {
            replicas.push(RedisServer::start(&arguments).await);
        }
        wait_until("the replicas follow", START_BOUND, async || {
            n_following(&mut primary.connection().await).await == n_replicas
        })
        .await;
        let these = Self {
            _replicas: replicas,
            sentinels: (0..SENTINELS)
                .map(|_| Sentinel::start(primary.port))
                .collect(),
        };
        wait_until("the sentinels know all", START_BOUND, async || {
            these.know(n_replicas).await
        })
        .await;
        these
    }

    /// Their hosts and ports, separated by commas.
    #[must_use]
    pub fn addresses(&self) -> String {
        let address = |sentinel: &Sentinel| format!("127.0.0.1:{}", sentinel.port);
        self.sentinels
            .iter()
            .map(address)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Has another primary chosen, while the present one lives on as its replica.
    pub async fn fail_over(&self) {
        let answer: Option<String> = self.sentinels[0].ask("failover").await;
        answer.expect("the sentinel finds a replica to promote");
    }

    /// Waits until all of them name the same primary, and not the given one.
    pub async fn failed_over(&self, from: &RedisServer, limit: Duration) {
        wait_until(
            "the sentinels name another primary",
            limit,
            async || matches!(self.primary_port().await, Some(port) if port != from.port),
        )
        .await;
    }

    /// A connection to the primary; `None` while they disagree about it, or it does not answer.
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
            let told: Option<(String, u16)> = sentinel.ask("get-master-addr-by-name").await;
            let (_, port) = told?;
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
    let mut info = cmd("INFO");
    let told: String = info
        .arg("replication")
        .query_async(redis)
        .await
        .unwrap_or_default();
    told.matches("state=online").count()
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
        let process = Command::new("redis-server")
            .arg(folder.file("sentinel.conf"))
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is on the PATH");
        Self {
            port,
            _folder: folder,
            _process: process,
        }
    }

    /// What it tells of the primary; `None` where it does not answer.
    async fn ask<T: FromRedisValue>(&self, what: &str) -> Option<T> {
        let mut connection = connection(self.port).await?;
        let mut asking = cmd("SENTINEL");
        asking.arg(&[what, PRIMARY]);
        asking.query_async(&mut connection).await.ok()
    }
}

async fn connection(port: u16) -> Option<MultiplexedConnection> {
    let client = Client::open(("127.0.0.1", port)).ok()?;
    client.get_multiplexed_async_connection().await.ok()
}
