//! The sections of settings, each a struct that cannot hold a wrong value, and how it is read.

use std::net::SocketAddr;
use std::time::Duration;

use ::redis::{ConnectionAddr, IntoConnectionInfo};
use harkara_core::durability::Durability;
use harkara_core::lane::{LANES, Lane};
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;

use super::catalogue::{self, DURABILITY_NAMES, Kind, LANE_NAMES, LANE_WEIGHT_MAX};
use super::networks::Networks;
use super::postgres_url::PostgresUrl;
use super::rate::RateLimit;
use super::reader::Reader;
use super::sentinels::SentinelSettings;
use super::tls::{self, IngressTls};
use crate::instance;
use tracing_subscriber::EnvFilter;

/// Section `redis`.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// A valid `redis://` or `rediss://` URL, perhaps with a password.
    pub url: Secret,
    /// Who is asked for the server's address, where it is not that of the URL.
    pub sentinels: Option<SentinelSettings>,
    /// How to verify the server; there is one exactly where the URL is `rediss://`.
    pub tls: Option<ClientTls>,
    /// The partition whose streams are used.
    pub partition: u16,
    /// Bound of one connection attempt.
    pub connect_timeout: Duration,
    /// Bound of one command.
    pub response_timeout: Duration,
}

/// Section `postgres`.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// A `postgres://` URL, perhaps with a password. Says nothing of TLS.
    pub url: Secret,
    /// How to verify the server; `None` where the connection is plain.
    pub tls: Option<ClientTls>,
    /// Most connections of one process.
    pub pool_max: usize,
    /// Bound of one connection attempt and of the wait for a free connection.
    pub connect_timeout: Duration,
    /// Bound of one statement.
    pub statement_timeout: Duration,
}

/// Section `ingress`.
#[derive(Clone, Debug)]
pub struct IngressSettings {
    /// Where webhooks are received.
    pub bind: SocketAddr,
    /// Where probes and metrics are served.
    pub admin_bind: SocketAddr,
    /// The files of the certificate, where webhooks are received over TLS.
    pub tls: Option<IngressTls>,
    /// Server threads, at least 1.
    pub threads: usize,
    /// Largest body taken.
    pub body_bytes_max: usize,
    /// Most bytes of bodies in memory, over all requests; at least `body_bytes_max`.
    pub buffered_bytes_max: usize,
    /// Most bytes of header names and values together.
    pub header_bytes_max: usize,
    /// Bound of reading a request's head.
    pub header_read_timeout: Duration,
    /// Bound of reading a whole body.
    pub body_read_timeout: Duration,
    /// Most connections of the process.
    pub connections_max: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// Bound of the requests of one client address, where there is one.
    pub address_rate: Option<RateLimit>,
    /// Bound of the requests to one endpoint, where there is one.
    pub endpoint_rate: Option<RateLimit>,
    /// `Retry-After` of a 503 and of a 429 for memory, in seconds.
    pub retry_after_s: u32,
    /// How durable a delivery of each lane is before it is answered, in the order of `Lane::ALL`.
    pub durability: [Durability; LANES],
    /// Replicas that must have what is to be replicated, at least 1.
    pub replicas_min: usize,
    /// Whether Redis is trusted to be as durable as asked where it does not say so.
    pub trust_redis: bool,
    /// Bound of the confirmation by Redis.
    pub append_timeout: Duration,
    /// Entries from which deliveries go to the inbox.
    pub entries_max: u64,
    /// Percents of Redis's memory from which deliveries go to the inbox.
    pub redis_memory_percent_max: u64,
    /// Most connections of the inbox; 0 where there is none.
    pub inbox_connections_max: usize,
    /// Bound of storing a delivery in the inbox.
    pub inbox_timeout: Duration,
    /// Time between two looks at files of webhook secrets.
    pub secrets_poll: Duration,
    /// Bound of a graceful stop.
    pub stop_deadline: Duration,
}

/// Section `worker`.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Where probes and metrics are served.
    pub admin_bind: SocketAddr,
    /// The consumer name, never empty.
    pub consumer: String,
    /// Most entries in one transaction.
    pub batch_entries_max: usize,
    /// Most batches committed at once.
    pub batches_in_flight_max: usize,
    /// How long less than a full batch gathers after the last one left.
    pub gather: Duration,
    /// How long one read waits for new entries.
    pub read_wait: Duration,
    /// Idle time after which a pending entry is taken over.
    pub claim_idle: Duration,
    /// Time between two looks for entries to take over.
    pub take_over_every: Duration,
    /// Claims after which an entry is set aside.
    pub claims_max: u32,
    /// Attempts after which an event is a dead letter.
    pub attempts_max: u32,
    /// Wait before the second attempt.
    pub backoff_first: Duration,
    /// Longest wait between attempts.
    pub backoff_max: Duration,
    /// Time between two looks at the ledger.
    pub ledger_poll: Duration,
    /// How long a ledger row may be held.
    pub lease: Duration,
    /// Idle time after which an empty consumer is removed.
    pub consumer_idle: Duration,
    /// Shares of the lanes, in the order of `Lane::ALL`, each at least 1.
    pub lane_weights: [usize; LANES],
    /// Bound of a graceful stop.
    pub stop_deadline: Duration,
}

/// Section `log`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// A valid filter in the syntax of `RUST_LOG`.
    pub level: String,
}

/// Section `trace`.
#[derive(Clone, Copy, Debug)]
pub struct TraceSettings {
    /// Most ordinary traces kept in a second.
    pub ordinary_per_s_max: u32,
    /// What takes longer is kept.
    pub slow: Duration,
    /// Whether processing is a trace of its own.
    pub links_only: bool,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl RedisSettings {
    pub(super) fn read(r: &mut Reader) -> Self {
        let url = r.value_or("redis.url", redis_url);
        Self {
            tls: tls::redis(r, &url),
            url,
            sentinels: SentinelSettings::read(r),
            partition: r.whole("redis.partition"),
            connect_timeout: r.millis("redis.connect_timeout_ms"),
            response_timeout: r.millis("redis.response_timeout_ms"),
        }
    }
}

impl PostgresSettings {
    pub(super) fn read(r: &mut Reader) -> Self {
        let url = r.value_or("postgres.url", postgres_url);
        Self {
            tls: tls::postgres(r, &url),
            url: url.without_tls,
            pool_max: r.whole("postgres.pool_max"),
            connect_timeout: r.millis("postgres.connect_timeout_ms"),
            statement_timeout: r.millis("postgres.statement_timeout_ms"),
        }
    }
}

impl IngressSettings {
    pub(super) fn read(r: &mut Reader) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads: usize = r.whole("ingress.threads");
        let ingress = Self {
            bind: r.address("ingress.bind"),
            admin_bind: r.address("ingress.admin_bind"),
            tls: IngressTls::read(r),
            threads: if threads == 0 { cores() } else { threads },
            body_bytes_max: r.whole("ingress.body_bytes_max"),
            buffered_bytes_max: r.whole("ingress.buffered_bytes_max"),
            header_bytes_max: r.whole("ingress.header_bytes_max"),
            header_read_timeout: r.millis("ingress.header_read_timeout_ms"),
            body_read_timeout: r.millis("ingress.body_read_timeout_ms"),
            connections_max: r.whole("ingress.connections_max"),
            keep_alive: r.millis("ingress.keep_alive_ms"),
            trusted_proxies: r.value_or("ingress.trusted_proxies", Networks::parse),
            address_rate: RateLimit::read(
                r,
                "ingress.address_requests_per_s",
                "ingress.address_requests_burst",
            ),
            endpoint_rate: RateLimit::read(
                r,
                "ingress.endpoint_requests_per_s",
                "ingress.endpoint_requests_burst",
            ),
            retry_after_s: r.whole("ingress.retry_after_s"),
            durability: durability(r),
            replicas_min: r.whole("ingress.replicas_min"),
            trust_redis: r.value("ingress.trust_redis", |text| text.parse().ok()),
            append_timeout: r.millis("ingress.append_timeout_ms"),
            entries_max: r.whole("ingress.entries_max"),
            redis_memory_percent_max: r.whole("ingress.redis_memory_percent_max"),
            inbox_connections_max: r.whole("ingress.inbox_connections_max"),
            inbox_timeout: r.millis("ingress.inbox_timeout_ms"),
            secrets_poll: r.millis("ingress.secrets_poll_ms"),
            stop_deadline: r.millis("ingress.stop_deadline_ms"),
        };
        r.relation(
            &["ingress.buffered_bytes_max", "ingress.body_bytes_max"],
            ingress.buffered_bytes_max >= ingress.body_bytes_max,
            "must be at least ingress.body_bytes_max, or the largest body could never be taken",
        );
        ingress
    }
}

/// A consumer is removed only after this many read waits, so that a worker that merely waits for
/// entries is never taken for one that is gone.
const READ_WAITS_PER_CONSUMER_IDLE_MIN: u32 = 3;

impl WorkerSettings {
    /// How long a live worker may give no sign of life: within this time it has read,
    /// renewed what it holds, or asked for it.
    #[must_use]
    pub fn quiet_max(&self) -> Duration {
        self.claim_idle + self.read_wait
    }

    pub(super) fn read(r: &mut Reader) -> Self {
        let worker = Self {
            admin_bind: r.address("worker.admin_bind"),
            consumer: r.value("worker.consumer", |text| Some(consumer_name(text))),
            batch_entries_max: r.whole("worker.batch_entries_max"),
            batches_in_flight_max: r.whole("worker.batches_in_flight_max"),
            gather: r.millis("worker.gather_ms"),
            read_wait: r.millis("worker.read_wait_ms"),
            claim_idle: r.millis("worker.claim_idle_ms"),
            take_over_every: r.millis("worker.take_over_every_ms"),
            claims_max: r.whole("worker.claims_max"),
            attempts_max: r.whole("worker.attempts_max"),
            backoff_first: r.millis("worker.backoff_first_ms"),
            backoff_max: r.millis("worker.backoff_max_ms"),
            ledger_poll: r.millis("worker.ledger_poll_ms"),
            lease: r.millis("worker.lease_ms"),
            consumer_idle: r.millis("worker.consumer_idle_ms"),
            lane_weights: r.value("worker.lane_weights", lane_weights),
            stop_deadline: r.millis("worker.stop_deadline_ms"),
        };
        worker.check_relations(r);
        worker
    }

    fn check_relations(&self, r: &mut Reader) {
        r.relation(
            &["worker.consumer_idle_ms", "worker.read_wait_ms"],
            self.consumer_idle >= self.read_wait * READ_WAITS_PER_CONSUMER_IDLE_MIN,
            "must be at least three times worker.read_wait_ms: a read is a waiting worker's only sign of life",
        );
        r.relation(
            &["worker.backoff_max_ms", "worker.backoff_first_ms"],
            self.backoff_max >= self.backoff_first,
            "must be at least worker.backoff_first_ms",
        );
        r.relation(
            &["worker.consumer_idle_ms", "worker.claim_idle_ms"],
            self.consumer_idle > self.claim_idle,
            "must be more than worker.claim_idle_ms, so that entries are taken over before their consumer goes",
        );
    }
}

impl LogSettings {
    pub(super) fn read(r: &mut Reader) -> Self {
        let format = |text: &str| match text {
            "auto" => Some(LogFormat::Auto),
            "json" => Some(LogFormat::Json),
            "pretty" => Some(LogFormat::Pretty),
            _ => None,
        };
        let level = |text: &str| {
            EnvFilter::builder()
                .parse(text)
                .ok()
                .filter(|_| !text.is_empty())
                .map(|_| text.to_owned())
        };
        Self {
            format: r.value("log.format", format),
            level: r.value("log.level", level),
        }
    }
}

impl TraceSettings {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            ordinary_per_s_max: r.whole("trace.ordinary_per_s_max"),
            slow: r.millis("trace.slow_ms"),
            links_only: r.value("trace.links_only", |text| text.parse().ok()),
        }
    }
}

fn redis_url(text: &str) -> Result<Secret, String> {
    let url = with_scheme("redis.url", text)
        .ok_or("expected a URL that begins with redis:// or rediss://".to_owned())?;
    // The library's message may quote a part of the URL, and a part may be the password.
    let info = url.expose().into_connection_info().map_err(|_| {
        "is not a valid URL; expected redis://user:password@host:port/database, with special \
         characters of the password percent-encoded"
            .to_owned()
    })?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(
            "asks for TLS that verifies nobody (#insecure), which protects nothing; give the \
             certificate of the server's authority as redis.ca_file"
                .to_owned(),
        );
    }
    Ok(url)
}

fn postgres_url(text: &str) -> Result<PostgresUrl, String> {
    let url = with_scheme("postgres.url", text)
        .ok_or("expected a URL that begins with postgres:// or postgresql://".to_owned())?;
    PostgresUrl::parse(url.expose())
}

/// The level of each lane: its own, or that of `ingress.durability`.
fn durability(r: &mut Reader) -> [Durability; LANES] {
    let usual = r.value("ingress.durability", redis_level);
    let mut levels = [usual; LANES];
    for (name, taken) in r.family("durability") {
        let key = format!("durability.{name}");
        let level = taken.items.join(",");
        match (Lane::parse(&name), redis_level(&level)) {
            (Some(lane), Some(level)) => levels[lane.index()] = level,
            (None, _) => {
                let problem = format!("there is no such lane; lanes are {}", LANE_NAMES.join(", "));
                r.fault(&key, taken.origin, problem);
            }
            (Some(_), None) => {
                let problem = format!(
                    "is {level:?}; expected one of {}",
                    DURABILITY_NAMES.join(", ")
                );
                r.fault(&key, taken.origin, problem);
            }
        }
    }
    levels
}

/// A level that can be asked of Redis.
fn redis_level(text: &str) -> Option<Durability> {
    Durability::parse(text).filter(|level| Durability::OF_REDIS.contains(level))
}

fn with_scheme(key: &str, text: &str) -> Option<Secret> {
    let Kind::Url(schemes) = catalogue::find(key)?.kind else {
        return None;
    };
    schemes
        .iter()
        .any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        })
        .then(|| Secret::new(text))
}

fn lane_weights(text: &str) -> Option<[usize; LANES]> {
    let weights: Option<Vec<usize>> = text
        .split(',')
        .map(|weight| weight.trim().parse::<u32>().ok())
        .map(|weight| {
            weight
                .filter(|w| (1..=LANE_WEIGHT_MAX).contains(w))
                .map(|w| w as usize)
        })
        .collect();
    weights?.try_into().ok()
}

fn consumer_name(text: &str) -> String {
    if text.is_empty() {
        instance::name()
    } else {
        text.to_owned()
    }
}
