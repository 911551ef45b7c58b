//! Sections `ingress` and `durability`.

use std::net::SocketAddr;
use std::time::Duration;

use harkara_core::durability::Durability;
use harkara_core::lane::{LANES, Lane};

use crate::catalogue::{
    FLAG, HOUR_MS, LANE_NAMES, MINUTE_MS, Setting, SettingKind, bytes, count, millis, setting,
    whole,
};
use crate::networks::Networks;
use crate::rate::RateLimit;
use crate::reader::SettingsReader;
use crate::tls::IngressTls;

/// Section `ingress`.
#[derive(Clone, Debug)]
pub struct IngressSettings {
    /// Where webhooks are received.
    pub bind: SocketAddr,
    /// Where probes and metrics are served.
    pub admin_bind: SocketAddr,
    /// The certificate's files, if webhooks are received over TLS.
    pub tls: Option<IngressTls>,
    /// Server threads, at least 1.
    pub threads: usize,
    /// Largest body accepted.
    pub body_bytes_max: usize,
    /// Maximum bytes of bodies in memory, over all requests; at least `body_bytes_max`.
    pub buffered_bytes_max: usize,
    /// Maximum bytes of header names and values together.
    pub header_bytes_max: usize,
    /// Bound of reading a request's head.
    pub header_read_timeout: Duration,
    /// Bound of reading a whole body.
    pub body_read_timeout: Duration,
    /// Maximum connections of the process.
    pub connections_max: usize,
    /// Maximum connections of an address without a valid signature; 0 is no limit.
    pub connections_per_address_max: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Networks,
    /// Rate limit of each client address, if any.
    pub address_rate: Option<RateLimit>,
    /// Rate limit of each endpoint, if any.
    pub endpoint_rate: Option<RateLimit>,
    /// `Retry-After` of a 503 and of a 429 for memory, in seconds.
    pub retry_after_s: u32,
    /// Durability of a delivery before it is answered, by lane in the order of `Lane::ALL`.
    pub durability: [Durability; LANES],
    /// Replicas that must confirm a `replicated` delivery, at least 1.
    pub replicas_min: usize,
    /// Whether Redis is trusted to be as durable as asked without saying so.
    pub trust_redis: bool,
    /// Bound of the confirmation by Redis.
    pub append_timeout: Duration,
    /// Stream entries from which deliveries go to the inbox.
    pub entries_max: u64,
    /// Percentage of Redis's memory from which deliveries go to the inbox.
    pub redis_memory_percent_max: u64,
    /// Maximum connections of the inbox; 0 disables it.
    pub inbox_connections_max: usize,
    /// Bound of storing a delivery in the inbox.
    pub inbox_timeout: Duration,
    /// Time between two checks of the files of webhook secrets.
    pub secrets_poll: Duration,
    /// How long requests are still taken after the request to stop.
    pub drain: Duration,
    /// Bound of a graceful shutdown, after that.
    pub stop_deadline: Duration,
}

/// The levels that Redis can provide, the weakest first.
const DURABILITY_NAMES: &[&str] = &["appended", "fsynced", "replicated"];

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("ingress.bind", "0.0.0.0:8080", SettingKind::Address,
        "Where webhooks are received. Port 0 picks a free port."),
    setting("ingress.admin_bind", "0.0.0.0:9080", SettingKind::Address,
        "Where the ingress serves `/livez`, `/readyz`, `/metrics` and `/backlog`. Port 0 picks a free port."),
    setting("ingress.tls_certificate_file", "", SettingKind::PemFile,
        "The certificate chain with which webhooks are received over TLS. Empty: plain HTTP, behind a proxy that terminates TLS. Requires `ingress.tls_key_file`."),
    setting("ingress.tls_key_file", "", SettingKind::PemFile,
        "The private key of `ingress.tls_certificate_file`."),
    setting("ingress.tls_reload_ms", "60000", millis(10, HOUR_MS),
        "How often these two files are checked. New connections get a changed certificate without a restart."),
    setting("ingress.threads", "0", count(0, 1024),
        "Server threads. 0 is one for each core."),
    setting("ingress.body_bytes_max", "1048576", bytes(1, 67_108_864),
        "Maximum size of a body; a larger one is answered 413."),
    setting("ingress.buffered_bytes_max", "67108864", bytes(1, 1 << 40),
        "Maximum bytes of bodies in memory, over all requests that are being read or not yet durable. A request that would exceed it is answered 429 with the `Retry-After` of `ingress.retry_after_s`. At least `ingress.body_bytes_max`. On top, each connection takes up to 64 KiB, 96 KiB over TLS, and 288 KiB in the kernel."),
    setting("ingress.header_bytes_max", "16384", bytes(1024, 131_072),
        "Maximum bytes of header names and values together; more is answered 431."),
    setting("ingress.header_read_timeout_ms", "5000", millis(1, MINUTE_MS),
        "How long a client may take to send its request line and headers; longer is answered 408."),
    setting("ingress.body_read_timeout_ms", "4000", millis(1, MINUTE_MS),
        "How long a client may take to send its whole body; longer is answered 408. Razorpay gives up after 5 seconds."),
    setting("ingress.connections_max", "10000", count(1, 1_000_000),
        "Maximum number of open connections; further ones wait to be accepted. When few are left, connections without a valid signature are closed. Each needs two open files; if the system permits fewer, so many are taken."),
    setting("ingress.connections_per_address_max", "0", count(0, 1_000_000),
        "Maximum connections of one client address (for IPv6, of one /64) that never sent a valid signature; further ones are closed. Does not apply to `ingress.trusted_proxies`. 0 is no limit, which is right where many clients share an address."),
    setting("ingress.keep_alive_ms", "75000", millis(1, HOUR_MS),
        "How long a connection that has sent a valid signature, or is a trusted proxy's, is kept open while idle. Others are closed after `ingress.header_read_timeout_ms`, and after each answer."),
    setting("ingress.trusted_proxies", "", SettingKind::Networks,
        "The load balancers in front of the ingress, whose `X-Forwarded-For` is trusted: its last address that is not one of theirs is the client's. Empty trusts none, and the client is the peer of the connection."),
    setting("ingress.address_requests_per_s", "0", count(0, 1_000_000),
        "Requests per second to webhook endpoints from one client address (for IPv6, from one /64); more are answered 429 with `Retry-After`. 0 is no limit. Razorpay sends from few addresses, counts a 429 as a failed delivery and retries later, so set the limit far above its bursts."),
    setting("ingress.address_requests_burst", "0", count(0, 1_000_000),
        "Requests that an address may send in a burst. 0 is one second's worth."),
    setting("ingress.endpoint_requests_per_s", "0", count(0, 1_000_000),
        "The same limit for all requests to one endpoint together, refused signatures included. A flood uses it up for Razorpay too, unless `endpoints.<name>.allow` keeps others out. 0 is no limit."),
    setting("ingress.endpoint_requests_burst", "0", count(0, 1_000_000),
        "Requests that an endpoint accepts in a burst. 0 is one second's worth."),
    setting("ingress.retry_after_s", "5", whole(0, 86_400, "seconds"),
        "The `Retry-After` of a 503, and of a 429 because of `ingress.buffered_bytes_max`."),
    setting("ingress.durability", "fsynced", SettingKind::Choice(DURABILITY_NAMES),
        "How durable a delivery is before it is answered 200: `appended` (in the memory of Redis), `fsynced` (on its disk) or `replicated` (on its disk and in the memory of `ingress.replicas_min` replicas)."),
    setting("ingress.replicas_min", "1", count(1, 100),
        "Replicas of Redis that must confirm a `replicated` delivery."),
    setting("ingress.trust_redis", "false", FLAG,
        "Whether to trust that the answer of Redis proves the required level, although Redis hides its persistence or reports none. Some managed services are durable in their own way."),
    setting("ingress.append_timeout_ms", "1400", millis(1, MINUTE_MS),
        "How long Redis may take to confirm a delivery before it goes to the inbox. With appendfsync everysec, a confirmation takes up to 1.2 seconds and an fsync. With the inbox's timeout it stays below the five seconds that Razorpay waits."),
    setting("ingress.entries_max", "2000000", count(1, u32::MAX as u64),
        "Entries in the lanes, claimed or not, from which deliveries go to the inbox instead."),
    setting("ingress.redis_memory_percent_max", "85", whole(1, 100, "percent"),
        "Percentage of Redis's `maxmemory` from which deliveries go to the inbox instead. Has no effect without a `maxmemory`."),
    setting("ingress.inbox_connections_max", "2", count(0, 100),
        "Maximum number of connections to PostgreSQL that store deliveries in the inbox while Redis is unavailable. 0 disables the inbox."),
    setting("ingress.inbox_timeout_ms", "2000", millis(1, MINUTE_MS),
        "How long PostgreSQL may take to store a delivery in the inbox before it is answered 503."),
    setting("ingress.secrets_poll_ms", "5000", millis(10, HOUR_MS),
        "How often files of webhook secrets (`endpoints.<name>.secrets_file`) are checked. A change takes effect once two checks in a row agree."),
    setting("ingress.drain_ms", "0", millis(0, HOUR_MS),
        "How long a shutdown still takes requests. `/readyz` is 503 at once, and each answer closes its connection. Behind a load balancer, set it to what that needs to notice: 10000 in Kubernetes."),
    setting("ingress.stop_deadline_ms", "20000", millis(0, HOUR_MS),
        "How long requests in flight may take to finish during a shutdown, after `ingress.drain_ms`. Rounded up to whole seconds."),
];

#[rustfmt::skip]
pub(crate) const DURABILITY_SETTINGS: &[Setting] = &[
    setting("durability.<name>", "", SettingKind::Choice(DURABILITY_NAMES),
        "Overrides `ingress.durability` for one lane."),
];

impl IngressSettings {
    pub(crate) fn read(r: &mut SettingsReader) -> Self {
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
            connections_per_address_max: r.whole("ingress.connections_per_address_max"),
            keep_alive: r.millis("ingress.keep_alive_ms"),
            trusted_proxies: r.value_or("ingress.trusted_proxies", Networks::parse),
            address_rate: RateLimit::read(r, "ingress.address_requests"),
            endpoint_rate: RateLimit::read(r, "ingress.endpoint_requests"),
            retry_after_s: r.whole("ingress.retry_after_s"),
            durability: durability(r),
            replicas_min: r.whole("ingress.replicas_min"),
            trust_redis: r.flag("ingress.trust_redis"),
            append_timeout: r.millis("ingress.append_timeout_ms"),
            entries_max: r.whole("ingress.entries_max"),
            redis_memory_percent_max: r.whole("ingress.redis_memory_percent_max"),
            inbox_connections_max: r.whole("ingress.inbox_connections_max"),
            inbox_timeout: r.millis("ingress.inbox_timeout_ms"),
            secrets_poll: r.millis("ingress.secrets_poll_ms"),
            drain: r.millis("ingress.drain_ms"),
            stop_deadline: r.millis("ingress.stop_deadline_ms"),
        };
        r.relation(
            &["ingress.buffered_bytes_max", "ingress.body_bytes_max"],
            ingress.buffered_bytes_max >= ingress.body_bytes_max,
            "must be at least ingress.body_bytes_max, or the largest body could never be accepted",
        );
        ingress
    }
}

/// The level of each lane: its own, or that of `ingress.durability`.
fn durability(r: &mut SettingsReader) -> [Durability; LANES] {
    let mut levels = [r.value("ingress.durability", redis_level); LANES];
    for (name, value) in r.family("durability") {
        let key = format!("durability.{name}");
        let level = value.text();
        let problem = match (Lane::parse(&name), redis_level(&level)) {
            (Some(lane), Some(level)) => {
                levels[lane.index()] = level;
                continue;
            }
            (None, _) => format!("there is no such lane; lanes are {}", LANE_NAMES.join(", ")),
            (Some(_), None) => {
                format!(
                    "is {level:?}; expected one of {}",
                    DURABILITY_NAMES.join(", ")
                )
            }
        };
        r.problem(&key, value.origin, problem);
    }
    levels
}

/// A level that Redis can provide.
fn redis_level(text: &str) -> Option<Durability> {
    Durability::parse(text).filter(|level| Durability::OF_REDIS.contains(level))
}
