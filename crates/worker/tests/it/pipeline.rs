//! An ingress and workers on a Redis and a database of a test's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::secret::Secret;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_simulator::Bodies;
use harkara_simulator::SimulatedEvent;
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Destination, Sender};
use harkara_telemetry::Tracer;
use harkara_testkit::{TestDatabase, redis_database, wait_until};
use redis::aio::MultiplexedConnection;
use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Longest wait for anything in these tests.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The secret of the endpoint `default`.
pub(crate) const SECRET: &str = "whsec-of-the-tests";

pub(crate) struct Pipeline {
    pub(crate) database: TestDatabase,
    pub(crate) redis_url: String,
    pub(crate) bodies: Bodies,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    sender: Sender,
    stop_ingress: Shutdown,
    tracer: Tracer,
}

/// A worker inside the test's process.
pub(crate) struct Worker {
    pub(crate) admin: SocketAddr,
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Pipeline {
    /// An ingress, without a worker yet.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with some settings of the ingress changed.
    pub(crate) async fn start_with(changed: &[(&str, &str)]) -> Self {
        Self::start_both(redis_database().await, changed).await
    }

    pub(crate) async fn start_on(redis_url: String) -> Self {
        Self::start_both(redis_url, &[]).await
    }

    async fn start_both(redis_url: String, changed: &[(&str, &str)]) -> Self {
        Self::start_in(TestDatabase::migrated().await, redis_url, changed).await
    }

    /// The same whose ingress and workers keep traces.
    pub(crate) async fn start_traced(tracer: &Tracer) -> Self {
        let database = TestDatabase::migrated().await;
        Self::start_with_tracer(database, redis_database().await, &[], tracer.clone()).await
    }

    /// An ingress on a given Redis and database.
    pub(crate) async fn start_in(
        database: TestDatabase,
        redis_url: String,
        changed: &[(&str, &str)],
    ) -> Self {
        Self::start_with_tracer(database, redis_url, changed, Tracer::off()).await
    }

    async fn start_with_tracer(
        database: TestDatabase,
        redis_url: String,
        changed: &[(&str, &str)],
        tracer: Tracer,
    ) -> Self {
        let settings = settings(&redis_url, &database.url, changed);
        let ingress = harkara_ingress::App::build(&settings, &tracer)
            .await
            .unwrap();
        let (public, admin) = (ingress.public_addr(), ingress.admin_addr());
        let stop_ingress = Shutdown::manual();
        tokio::spawn(ingress.run_until_stopped(stop_ingress.clone()));
        Self {
            database,
            redis_url,
            bodies: Bodies::new(7, 1_764_000_000),
            public,
            admin,
            sender: Sender::new(),
            stop_ingress,
            tracer,
        }
    }

    /// Adds a worker.
    pub(crate) async fn worker(&self, changed: &[(&str, &str)]) -> Worker {
        let settings = settings(&self.redis_url, &self.database.url, changed);
        let app = harkara_worker::App::build(&settings, &self.tracer)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        let admin = app.admin_addr();
        let stop = Shutdown::manual();
        let until = stop.clone();
        let task = tokio::spawn(async move { app.run_until_stopped(until).await.unwrap() });
        Worker { admin, stop, task }
    }

    /// Starts the worker's real binary, to be killed.
    pub(crate) fn worker_process(&self, changed: &[(&str, &str)]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-worker"));
        let inherited = std::env::vars()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("HARKARA_"));
        for name in inherited {
            command.env_remove(name);
        }
        for (key, value) in map(&self.redis_url, &self.database.url, changed) {
            if !key.starts_with("endpoints") {
                command.env(
                    format!("HARKARA__{}", key.replace('.', "__").to_uppercase()),
                    value,
                );
            }
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Delivers an event, rightly signed, and expects 200.
    pub(crate) async fn deliver(&self, event: &SimulatedEvent) {
        assert_eq!(self.try_deliver(event).await, 200, "{}", event.name);
    }

    /// Delivers a body under an event id, rightly signed, and expects 200.
    pub(crate) async fn deliver_body(&self, event_id: &str, body: impl Into<Vec<u8>>) {
        let event = SimulatedEvent {
            event_id: event_id.to_owned(),
            name: String::new(),
            body: body.into(),
        };
        self.deliver(&event).await;
    }

    /// Delivers an event, rightly signed, and gives the status of the answer.
    pub(crate) async fn try_deliver(&self, event: &SimulatedEvent) -> u16 {
        let destination =
            Destination::parse(&format!("http://{}/webhooks/razorpay", self.public)).unwrap();
        let signed = Signed::new(event.clone(), &Secret::new(SECRET));
        self.sender
            .send(&destination, &signed)
            .await
            .unwrap()
            .status
    }

    /// Waits until as many events have this status.
    pub(crate) async fn until_events(&self, status: &str, n_events: i64) {
        wait_until(
            &format!("{n_events} events are {status}"),
            BOUND,
            async || self.events(status).await >= n_events,
        )
        .await;
        assert_eq!(
            self.events(status).await,
            n_events,
            "events that are {status}"
        );
    }

    pub(crate) async fn events(&self, status: &str) -> i64 {
        self.database
            .value_of(
                "SELECT count(*) FROM webhook_events WHERE status = $1",
                &[&status],
            )
            .await
    }

    /// Holds up every commit, until [`Pipeline::release_commits`].
    pub(crate) async fn hold_commits(&self) {
        self.database
            .execute("BEGIN; LOCK TABLE event_identities IN ACCESS EXCLUSIVE MODE")
            .await;
    }

    pub(crate) async fn release_commits(&self) {
        self.database.execute("ROLLBACK").await;
    }

    /// Waits until the streams are empty and nothing is pending.
    pub(crate) async fn until_drained(&self) {
        wait_until("the lanes are empty", BOUND, async || {
            let mut left = 0;
            for lane in Lane::ALL {
                left += self.length(lane).await + self.pending(lane).await;
            }
            left == 0
        })
        .await;
    }

    pub(crate) async fn length(&self, lane: Lane) -> u64 {
        let mut redis = self.redis().await;
        cmd("XLEN")
            .arg(lane.stream_key(0))
            .query_async(&mut redis)
            .await
            .unwrap()
    }

    /// Entries that some consumer has claimed and not acknowledged.
    pub(crate) async fn pending(&self, lane: Lane) -> u64 {
        let mut redis = self.redis().await;
        let summary: redis::RedisResult<(u64, redis::Value, redis::Value, redis::Value)> =
            cmd("XPENDING")
                .arg(lane.stream_key(0))
                .arg(CONSUMER_GROUP)
                .query_async(&mut redis)
                .await;
        summary.map_or(0, |summary| summary.0)
    }

    /// The consumers of a lane.
    pub(crate) async fn consumers(&self, lane: Lane) -> Vec<String> {
        let mut redis = self.redis().await;
        let told: redis::streams::StreamInfoConsumersReply = cmd("XINFO")
            .arg(&["CONSUMERS", &lane.stream_key(0), CONSUMER_GROUP])
            .query_async(&mut redis)
            .await
            .unwrap();
        told.consumers
            .into_iter()
            .map(|consumer| consumer.name)
            .collect()
    }

    pub(crate) async fn redis(&self) -> MultiplexedConnection {
        redis::Client::open(self.redis_url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop_ingress.request();
    }
}

impl Worker {
    /// The value of one of its counters.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let metrics = exchange(
            self.admin,
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name}"));
        line.trim().parse().unwrap()
    }

    /// Stops the worker and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.request();
        tokio::time::timeout(BOUND, self.task)
            .await
            .expect("the worker ends in time")
            .unwrap();
    }
}

/// One request and its whole answer.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Settings under which things happen quickly.
pub(crate) fn settings(redis: &str, postgres: &str, changed: &[(&str, &str)]) -> Settings {
    Settings::from_map(map(redis, postgres, changed)).unwrap_or_else(|faults| panic!("{faults}"))
}

fn map(redis: &str, postgres: &str, changed: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut map = BTreeMap::from([
        ("redis.url", redis),
        ("postgres.url", postgres),
        ("postgres.pool_max", "4"),
        ("ingress.bind", "127.0.0.1:0"),
        ("ingress.admin_bind", "127.0.0.1:0"),
        ("ingress.threads", "1"),
        ("ingress.durability", "appended"),
        ("worker.admin_bind", "127.0.0.1:0"),
        ("worker.read_wait_ms", "100"),
        ("worker.claim_idle_ms", "60000"),
        ("worker.reclaim_every_ms", "100"),
        ("worker.ledger_poll_ms", "50"),
        ("worker.backoff_first_ms", "50"),
        ("worker.backoff_max_ms", "200"),
        ("endpoints.default.secrets", SECRET),
    ]);
    map.extend(changed.iter().copied());
    map.into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
