//! An ingress and workers on a Redis and a database of a test's own.

mod worker;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Destination, Sender};
use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::ledger::{BEGINNING, END, EventStatus, ReplayTarget, Walk, replay, stretch};
use harkara_telemetry::Tracer;
use harkara_testkit::{TestDatabase, redis_database, wait_until};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamInfoConsumersReply, StreamPendingReply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
pub(crate) use worker::Worker;

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

impl Pipeline {
    /// An ingress, without a worker yet.
    pub(crate) async fn start() -> Self {
        Self::start_on(redis_database().await).await
    }

    /// The same on a given Redis.
    pub(crate) async fn start_on(redis_url: String) -> Self {
        Self::start_with(
            TestDatabase::migrated().await,
            redis_url,
            &[],
            Tracer::off(),
        )
        .await
    }

    /// The same with changed settings of the ingress, and traces of the ingress and the workers.
    pub(crate) async fn start_with(
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
        Worker::start(&settings, &self.tracer).await
    }

    /// Starts the worker's real binary, to be killed.
    pub(crate) fn worker_process(&self, changed: &[(&str, &str)]) -> Child {
        self.worker_process_with_log(Stdio::piped(), changed)
    }

    /// The same with a given standard error.
    pub(crate) fn worker_process_with_log(
        &self,
        log: impl Into<Stdio>,
        changed: &[(&str, &str)],
    ) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-worker"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HARKARA_")) {
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
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Delivers new events of a name, and expects 200.
    pub(crate) async fn deliver_new(&mut self, name: &str, n_events: usize) {
        for _ in 0..n_events {
            let event = self.bodies.event(name);
            self.deliver(&event).await;
        }
    }

    /// Delivers new events about captured payments, and expects 200.
    pub(crate) async fn deliver_payments(&mut self, n_events: usize) {
        self.deliver_new("payment.captured", n_events).await;
    }

    /// Delivers an event, correctly signed, and expects 200.
    pub(crate) async fn deliver(&self, event: &SimulatedEvent) {
        assert_eq!(self.try_deliver(event).await, 200, "{}", event.name);
    }

    /// Delivers a body under an event id, correctly signed, and expects 200.
    pub(crate) async fn deliver_body(&self, event_id: &str, body: impl Into<Vec<u8>>) {
        let event = SimulatedEvent {
            event_id: event_id.to_owned(),
            name: String::new(),
            body: body.into(),
        };
        self.deliver(&event).await;
    }

    /// Delivers an event, correctly signed, and returns the status of the answer.
    pub(crate) async fn try_deliver(&self, event: &SimulatedEvent) -> u16 {
        self.try_deliver_to("", event).await
    }

    /// The same to `/<endpoint>`, which has the same secret.
    pub(crate) async fn try_deliver_to(&self, endpoint: &str, event: &SimulatedEvent) -> u16 {
        let url = format!("http://{}/webhooks/razorpay{endpoint}", self.public);
        let destination = Destination::parse(&url).unwrap();
        let signed = Signed::new(event.clone(), &Secret::new(SECRET));
        let answer = self.sender.send(&destination, &signed).await;
        answer.unwrap().status
    }

    /// Posts a body with headers, and returns the whole answer.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &str) -> String {
        let headers = headers
            .iter()
            .map(|(name, value)| [name, ": ", value, "\r\n"].concat());
        let headers = headers.collect::<Vec<_>>().concat();
        let length = body.len();
        let request = format!(
            "POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let mut connection = TcpStream::connect(self.public).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Posts a correctly signed body with further headers, and expects 200.
    pub(crate) async fn post_signed(&self, headers: &[(&str, &str)], body: &str) {
        let signature = sign(&Secret::new(SECRET), body.as_bytes());
        let headers = [headers, &[("X-Razorpay-Signature", &signature)]].concat();
        let answer = self.post(&headers, body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Makes everything due again, and returns the number of events.
    pub(crate) async fn replay_all(&self) -> u64 {
        let pool = self.database.pool();
        let all = stretch(&pool, &Walk::Events, BEGINNING, END, 100_000).await;
        let Some(stretch) = all.unwrap() else {
            return 0;
        };
        let mut replayed = 0;
        for status in [EventStatus::Processed, EventStatus::Failed] {
            let target = ReplayTarget::Stretch {
                stretch,
                status,
                event_type: None,
            };
            replayed += replay(&pool, &target, "operator:test").await.unwrap();
        }
        replayed
    }

    /// Waits until as many events have this status.
    pub(crate) async fn until_events(&self, status: &str, n_events: i64) {
        until(&format!("{n_events} events are {status}"), async || {
            self.events(status).await >= n_events
        })
        .await;
        assert_eq!(self.events(status).await, n_events, "events: {status}");
    }

    /// Waits until as many events are processed and the streams are empty.
    pub(crate) async fn until_processed(&self, n_events: i64) {
        self.until_events("processed", n_events).await;
        self.until_drained().await;
    }

    pub(crate) async fn events(&self, status: &str) -> i64 {
        self.count(&format!("webhook_events WHERE status = '{status}'"))
            .await
    }

    /// The number of rows of a table, perhaps with a condition.
    pub(crate) async fn count(&self, rows: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {rows}");
        self.database.value(&sql).await
    }

    /// The sum of a column of the ledger.
    pub(crate) async fn sum(&self, column: &str) -> i64 {
        let sql = format!("SELECT sum({column})::bigint FROM webhook_events");
        self.database.value(&sql).await
    }

    /// The one text of a query.
    pub(crate) async fn text(&self, sql: &str) -> String {
        self.database.value(sql).await
    }

    /// Holds up every commit, until [`Pipeline::unlock`].
    pub(crate) async fn hold_commits(&self) {
        self.lock("event_identities").await;
    }

    /// Locks a table, until [`Pipeline::unlock`].
    pub(crate) async fn lock(&self, table: &str) {
        let sql = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        self.database.execute(&sql).await;
    }

    pub(crate) async fn unlock(&self) {
        self.database.execute("ROLLBACK").await;
    }

    /// Waits until the streams are empty and nothing is pending.
    pub(crate) async fn until_drained(&self) {
        until("the lanes are empty", async || {
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
        redis.xlen(RedisKeys::default().stream(lane)).await.unwrap()
    }

    /// Waits until as many entries of a lane are claimed and not acknowledged.
    pub(crate) async fn until_pending(&self, lane: Lane, n_entries: u64) {
        until(&format!("{n_entries} entries are claimed"), async || {
            self.pending(lane).await == n_entries
        })
        .await;
    }

    /// Entries that some consumer has claimed and not acknowledged.
    pub(crate) async fn pending(&self, lane: Lane) -> u64 {
        let mut redis = self.redis().await;
        let pending: redis::RedisResult<StreamPendingReply> = redis
            .xpending(RedisKeys::default().stream(lane), CONSUMER_GROUP)
            .await;
        pending.map_or(0, |pending| pending.count() as u64)
    }

    /// The consumers of a lane.
    pub(crate) async fn consumers(&self, lane: Lane) -> Vec<String> {
        consumers(&mut self.redis().await, lane).await
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

/// Waits until a condition holds, at most [`BOUND`].
pub(crate) async fn until(what: &str, condition: impl AsyncFnMut() -> bool) {
    wait_until(what, BOUND, condition).await;
}

/// The consumers of a lane at a Redis.
pub(crate) async fn consumers(redis: &mut MultiplexedConnection, lane: Lane) -> Vec<String> {
    let reply: StreamInfoConsumersReply = redis
        .xinfo_consumers(RedisKeys::default().stream(lane), CONSUMER_GROUP)
        .await
        .unwrap();
    let consumers = reply.consumers.into_iter();
    consumers.map(|consumer| consumer.name).collect()
}

/// Settings under which things happen quickly.
pub(crate) fn settings(redis: &str, postgres: &str, changed: &[(&str, &str)]) -> Settings {
    Settings::from_pairs(map(redis, postgres, changed)).unwrap_or_else(|error| panic!("{error}"))
}

fn map<'a>(
    redis: &'a str,
    postgres: &'a str,
    changed: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, &'a str> {
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
    map
}
