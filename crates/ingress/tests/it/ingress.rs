//! A running ingress and the streams it writes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use harkara_core::causes::with_remedy_and_causes;
use harkara_core::entry::StreamEntry;
use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_ingress::{App, RunError, StartError};
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_telemetry::Tracer;
use harkara_testkit::{RedisServer, redis_database, wait_until};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{AsyncCommands, Client, FromRedisValue};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::BOUND;
use crate::http::{Request, Response, get, metric, until_metric};

/// The secret of the endpoint `default`.
pub(crate) const SECRET: &str = "whsec-of-the-tests";

/// The path of the endpoint `default`.
pub(crate) const PATH: &str = "/webhooks/razorpay";

/// As the value of a setting: leave it out.
pub(crate) const UNSET: &str = "\u{0}";

pub(crate) const WITHOUT_INBOX: (&str, &str) = ("ingress.inbox_connections_max", "0");

pub(crate) struct Ingress {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) stop: Shutdown,
    redis_url: String,
    task: JoinHandle<Result<(), RunError>>,
}

impl Ingress {
    /// An ingress on an empty logical database.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with some settings changed.
    pub(crate) async fn start_with(changed: &[(&str, &str)]) -> Self {
        Self::start_on(&redis_database().await, changed).await
    }

    /// An ingress on a private Redis server, which is started with these arguments.
    pub(crate) async fn start_with_redis(
        arguments: &[&str],
        changed: &[(&str, &str)],
    ) -> (RedisServer, Self) {
        let redis = RedisServer::start(arguments).await;
        let ingress = Self::start_on(&redis.url(), changed).await;
        (redis, ingress)
    }

    /// An ingress on a given Redis.
    pub(crate) async fn start_on(redis_url: &str, changed: &[(&str, &str)]) -> Self {
        let app = build(redis_url, changed)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        let (public, admin) = (app.public_addr(), app.admin_addr());
        let stop = Shutdown::manual();
        let task = tokio::spawn(app.run_until_stopped(stop.clone()));
        Self {
            public,
            admin,
            stop,
            redis_url: redis_url.to_owned(),
            task,
        }
    }

    /// Sends a signed delivery to the endpoint `default`.
    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> Response {
        Request::delivery(body).send(self.public).await
    }

    /// Sends signed deliveries concurrently, with the bodies that `body` gives.
    pub(crate) async fn deliver_all(
        &self,
        n: usize,
        body: impl Fn(usize) -> String,
    ) -> Vec<Response> {
        join_all((0..n).map(|i| self.deliver(body(i)))).await
    }

    /// Asserts the status of a signed delivery.
    pub(crate) async fn assert_status(&self, status: u16) {
        assert_eq!(self.deliver("{}").await.status, status);
    }

    /// Asserts that a signed delivery is accepted.
    pub(crate) async fn assert_accepts(&self) {
        self.assert_status(200).await;
    }

    /// Delivers until the answer is this status.
    pub(crate) async fn until_status(&self, status: u16) {
        wait_until(&format!("the answer is {status}"), BOUND, async || {
            self.deliver("{}").await.status == status
        })
        .await;
    }

    /// Waits until `/readyz` answers this status.
    pub(crate) async fn until_ready(&self, status: u16) {
        wait_until(&format!("/readyz answers {status}"), BOUND, async || {
            self.admin("/readyz").await.status == status
        })
        .await;
    }

    /// Waits until the value of a metric fits.
    pub(crate) async fn until_metric(&self, name: &str, fits: impl Fn(u64) -> bool) {
        until_metric(self.admin, name, fits).await;
    }

    /// Delivers until a delivery is accepted.
    pub(crate) async fn until_accepted(&self) {
        self.until_status(200).await;
    }

    /// An answer of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Response {
        get(self.admin, path).await
    }

    /// The integer value of a metric, which is named with its labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        metric(self.admin, name).await
    }

    /// Asserts that the metrics have these lines.
    pub(crate) async fn assert_metrics(&self, lines: &[impl AsRef<str>]) {
        let metrics = self.admin("/metrics").await.body;
        for line in lines.iter().map(AsRef::as_ref) {
            assert!(
                metrics.lines().any(|l| l == line),
                "{line} not in\n{metrics}"
            );
        }
    }

    /// All entries of a lane, oldest first.
    pub(crate) async fn entries(&self, lane: Lane) -> Vec<StreamEntry> {
        let mut connection = connect(&self.redis_url).await;
        let reply: StreamRangeReply = connection
            .xrange_all(RedisKeys::default().stream(lane))
            .await
            .unwrap();
        let entry = |fields: std::collections::HashMap<String, redis::Value>| {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = Vec::<u8>::from_redis_value(value).unwrap();
                (Bytes::from(name), Bytes::from(value))
            });
            StreamEntry::from_fields(&fields.collect::<Vec<_>>()).unwrap()
        };
        let ids = reply.ids.into_iter();
        ids.map(|id| entry(id.map)).collect()
    }

    /// Asserts that nothing was stored, except perhaps the mark of the deployment.
    pub(crate) async fn assert_nothing_stored(&self) {
        let mut connection = connect(&self.redis_url).await;
        let mut keys: Vec<String> = connection.keys("*").await.unwrap();
        keys.retain(|key| *key != RedisKeys::default().mark());
        assert_eq!(keys, [] as [&str; 0]);
    }

    /// Waits for the ingress to end after a stop was requested, and returns how long it took.
    pub(crate) async fn ended(mut self) -> Duration {
        let asked_at = Instant::now();
        let ended = timeout(BOUND, &mut self.task).await;
        ended.expect("the ingress ends in time").unwrap().unwrap();
        asked_at.elapsed()
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.stop.request();
    }
}

/// Asserts that the start is refused with an error whose text or `Debug`, which begins with the names of the
/// variants, holds these parts. Returns both.
pub(crate) async fn assert_refused(
    redis_url: &str,
    changed: &[(&str, &str)],
    parts: &[&str],
) -> String {
    let error = build(redis_url, changed).await.err();
    let error = error.expect("the ingress refuses to start");
    let text = with_remedy_and_causes(&error, error.remedy().as_deref());
    let shown = format!("{error:?}: {text}");
    for part in parts {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
    shown
}

/// An ingress that may refuse to start.
pub(crate) async fn build(redis_url: &str, changed: &[(&str, &str)]) -> Result<App, StartError> {
    let mut map = BTreeMap::from([
        ("redis.url", redis_url),
        ("redis.response_timeout_ms", "1000"),
        ("redis.connect_timeout_ms", "1000"),
        // Nobody listens there: the ingress must not need a database.
        ("postgres.url", "postgres://harkara@127.0.0.1:1/harkara"),
        // The servers of the tests fsync every second.
        ("ingress.durability", "appended"),
        ("ingress.bind", "127.0.0.1:0"),
        ("ingress.admin_bind", "127.0.0.1:0"),
        ("ingress.threads", "2"),
        ("endpoints.default.secrets", SECRET),
    ]);
    map.extend(changed.iter().copied());
    map.retain(|_, value| *value != UNSET);
    let settings = Settings::from_pairs(map).unwrap_or_else(|problems| panic!("{problems}"));
    App::build(&settings, &Tracer::off()).await
}

pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}
