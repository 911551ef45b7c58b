//! The table of all settings: what may be set, its default, its bounds and its meaning.
//!
//! Reading, checking and the generated reference all go by this table, so none can forget one.

/// One setting, or (with a `<name>` in its key) a family of them.
pub(super) struct Setting {
    /// `section.key` as in the TOML file.
    pub(super) key: &'static str,
    /// What holds when nobody sets it, written as one would write it in the environment.
    pub(super) default: &'static str,
    /// One or two sentences for the reference.
    pub(super) meaning: &'static str,
    pub(super) kind: Kind,
}

/// What values a setting takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A URL with one of these schemes. It may hold a password, so it is a secret.
    Url(&'static [&'static str]),
    /// An address and port to listen on.
    Address,
    /// Any text.
    Text,
    /// The path of a file in PEM form.
    PemFile,
    /// A whole number between two bounds, in a unit (which may be empty).
    Whole {
        min: u64,
        max: u64,
        unit: &'static str,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Four positive whole numbers, separated by commas.
    Weights,
    /// A filter in the syntax of `RUST_LOG`.
    LogFilter,
    /// Secrets, newest first.
    Secrets,
    /// Addresses and networks in CIDR notation.
    Networks,
    /// The same, or the word for Razorpay's published addresses.
    Senders,
    /// Hosts with ports.
    Servers,
    /// One secret.
    Password,
}

/// The largest weight of a lane: beyond this the lowest lane would in effect starve.
pub(super) const LANE_WEIGHT_MAX: u32 = 1000;

/// The levels that can be asked of Redis, the least first.
pub(super) const DURABILITY_NAMES: &[&str] = &["appended", "fsynced", "replicated"];

/// The names of the lanes, highest first.
pub(super) const LANE_NAMES: &[&str] = &["critical", "medium", "normal", "default"];

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Whole {
        min,
        max,
        unit: "milliseconds",
    }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Whole { min, max, unit: "" }
}

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Whole {
        min,
        max,
        unit: "bytes",
    }
}

const fn setting(
    key: &'static str,
    default: &'static str,
    kind: Kind,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        meaning,
        kind,
    }
}

/// Every setting, in the order of the reference.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting("redis.url", "redis://127.0.0.1:16379", Kind::Url(&["redis://", "rediss://"]),
        "The Redis server that holds the lanes, with user, password and database where needed: `redis://user:password@host:port/database`. `rediss://` is TLS, with the server's certificate verified."),
    setting("redis.sentinels", "", Kind::Servers,
        "Where Redis Sentinel watches over the server: its sentinels, as many of them as there are. Every new connection asks them where the primary is; user, password, database and TLS stay those of `redis.url`, whose host and port are not connected to. Over TLS the primary's certificate must name that host, and a sentinel's the host given here."),
    setting("redis.sentinel_primary", "mymaster", Kind::Text,
        "The name by which the sentinels know the primary."),
    setting("redis.sentinel_password", "", Kind::Password,
        "The password that the sentinels themselves ask for (their `requirepass`), if they do."),
    setting("redis.ca_file", "", Kind::PemFile,
        "The authorities whose certificates Redis may show, in place of the public ones (Mozilla's list, built in)."),
    setting("redis.client_certificate_file", "", Kind::PemFile,
        "The certificate to show where Redis asks for one. Goes with `redis.client_key_file`."),
    setting("redis.client_key_file", "", Kind::PemFile,
        "The private key of `redis.client_certificate_file`."),
    setting("redis.partition", "0", count(0, 16_383),
        "The partition whose streams this process uses: the N in `harkara:{N}:critical`."),
    setting("redis.connect_timeout_ms", "2000", millis(1, MINUTE_MS),
        "How long a connection attempt to Redis may take."),
    setting("redis.response_timeout_ms", "2000", millis(1, MINUTE_MS),
        "How long Redis may take to answer a command."),

    setting("postgres.url", "postgres://harkara@127.0.0.1:15432/harkara", Kind::Url(&["postgres://", "postgresql://"]),
        "The PostgreSQL database that holds the ledger and the projections. With `?sslmode=verify-full` (or `verify-ca`, or `require`) the connection is TLS and certificate and host name are verified; with `disable` it is plain; without one of these, or with `prefer`, it is TLS if `postgres.ca_file` is given. `sslrootcert`, `sslcert` and `sslkey` in the URL stand for the three settings below."),
    setting("postgres.ca_file", "", Kind::PemFile,
        "The authorities whose certificates PostgreSQL may show, in place of the public ones (Mozilla's list, built in)."),
    setting("postgres.client_certificate_file", "", Kind::PemFile,
        "The certificate to show where PostgreSQL asks for one. Goes with `postgres.client_key_file`."),
    setting("postgres.client_key_file", "", Kind::PemFile,
        "The private key of `postgres.client_certificate_file`."),
    setting("postgres.pool_max", "8", count(1, 1000),
        "Most connections to PostgreSQL that one process opens."),
    setting("postgres.connect_timeout_ms", "3000", millis(1, MINUTE_MS),
        "How long a connection attempt to PostgreSQL, or the wait for a free one, may take."),
    setting("postgres.statement_timeout_ms", "30000", millis(1, HOUR_MS),
        "How long one statement may run before PostgreSQL ends it."),

    setting("ingress.bind", "0.0.0.0:8080", Kind::Address,
        "Where webhooks are received. Port 0 takes a free port."),
    setting("ingress.admin_bind", "0.0.0.0:9080", Kind::Address,
        "Where the ingress serves `/livez`, `/readyz`, `/metrics` and `/backlog`. Port 0 takes a free port."),
    setting("ingress.tls_certificate_file", "", Kind::PemFile,
        "The certificate, followed by those that lead to its authority, with which webhooks are received over TLS. Empty: plain HTTP, behind a proxy that ends TLS. Goes with `ingress.tls_key_file`."),
    setting("ingress.tls_key_file", "", Kind::PemFile,
        "The private key of `ingress.tls_certificate_file`."),
    setting("ingress.tls_reload_ms", "60000", millis(10, HOUR_MS),
        "How often these two files are looked at; another certificate is shown from the next connection on, without a restart."),
    setting("ingress.threads", "0", count(0, 1024),
        "Server threads. 0 is one for each core."),
    setting("ingress.body_bytes_max", "1048576", bytes(1, 67_108_864),
        "Largest body taken; a larger one is answered 413."),
    setting("ingress.buffered_bytes_max", "67108864", bytes(1, 1 << 40),
        "Most bytes of bodies held in memory at once, over all requests that are being read or wait to become durable; a request that would need more is answered 429 with the `Retry-After` of `ingress.retry_after_s`. At least `ingress.body_bytes_max`. What a connection itself buffers, up to 160 KiB, comes on top."),
    setting("ingress.header_bytes_max", "16384", bytes(1024, 131_072),
        "Most bytes of header names and values taken together; more is answered 431."),
    setting("ingress.header_read_timeout_ms", "5000", millis(1, MINUTE_MS),
        "How long a client may take to send its request line and headers; longer is answered 408."),
    setting("ingress.body_read_timeout_ms", "4000", millis(1, MINUTE_MS),
        "How long a client may take to send its whole body; longer is answered 408. Razorpay gives up after 5 seconds."),
    setting("ingress.connections_max", "10000", count(1, 1_000_000),
        "Most connections held open at once by the process; further ones wait to be accepted."),
    setting("ingress.keep_alive_ms", "75000", millis(1, HOUR_MS),
        "How long an idle connection is kept open."),
    setting("ingress.trusted_proxies", "", Kind::Networks,
        "The load balancers in front of the ingress. Only from them is `X-Forwarded-For` believed: its last address that is not one of theirs is the client's. Empty believes nobody, and the client is whoever holds the connection."),
    setting("ingress.address_requests_per_s", "0", count(0, 1_000_000),
        "Requests a second to webhook endpoints from one client address (of IPv6, from one /64), beyond which they are answered 429 with `Retry-After`. 0 is no limit. Razorpay sends everything from few addresses, counts a 429 as a failed delivery and sends it again later; so a limit must be far above its bursts."),
    setting("ingress.address_requests_burst", "0", count(0, 1_000_000),
        "Requests that an address may send at once after a quiet time. 0 is one second's worth."),
    setting("ingress.endpoint_requests_per_s", "0", count(0, 1_000_000),
        "The same limit for all requests to one endpoint together, refused signatures included: who floods the endpoint uses it up for Razorpay too, unless `endpoints.<name>.allow` keeps others out. 0 is no limit."),
    setting("ingress.endpoint_requests_burst", "0", count(0, 1_000_000),
        "Requests that an endpoint takes at once after a quiet time. 0 is one second's worth."),
    setting("ingress.retry_after_s", "5", Kind::Whole { min: 0, max: 86_400, unit: "seconds" },
        "The `Retry-After` of a 503, and of the 429 that says that bodies take too much memory."),
    setting("ingress.durability", "fsynced", Kind::Choice(DURABILITY_NAMES),
        "How durable a delivery is before it is answered 200: `appended` (in the memory of Redis), `fsynced` (on its disk) or `replicated` (on its disk and in the memory of `ingress.replicas_min` replicas)."),
    setting("ingress.replicas_min", "1", count(1, 100),
        "Replicas of Redis that must have a delivery where it is to be `replicated`."),
    setting("ingress.trust_redis", "false", Kind::Choice(&["true", "false"]),
        "Whether the answer of Redis is taken for the level asked of it where Redis does not tell how it persists, or tells that it does not: some managed services are durable in their own way."),
    setting("ingress.append_timeout_ms", "1400", millis(1, MINUTE_MS),
        "How long Redis may take to confirm a delivery before it goes to the inbox; with appendfsync everysec that is up to 1.2 seconds and an fsync. With the inbox's share, Razorpay has its answer within 2 seconds."),
    setting("ingress.entries_max", "2000000", count(1, u32::MAX as u64),
        "Entries in the lanes, claimed or not, from which deliveries go to the inbox instead."),
    setting("ingress.redis_memory_percent_max", "85", Kind::Whole { min: 1, max: 100, unit: "percent" },
        "Part of the `maxmemory` of Redis from which deliveries go to the inbox instead. Without a `maxmemory` there is no such bound."),
    setting("ingress.inbox_connections_max", "2", count(0, 100),
        "Most connections to PostgreSQL over which deliveries go to the inbox while Redis cannot take them. 0 turns the inbox off."),
    setting("ingress.inbox_timeout_ms", "500", millis(1, MINUTE_MS),
        "How long PostgreSQL may take to store a delivery in the inbox before it is answered 503."),
    setting("ingress.secrets_poll_ms", "5000", millis(10, HOUR_MS),
        "How often files of webhook secrets (`endpoints.<name>.secrets_file`) are looked at. A change takes effect at the second look that finds the same."),
    setting("ingress.stop_deadline_ms", "20000", millis(0, HOUR_MS),
        "How long requests in flight may take to finish once the ingress was asked to stop. Rounded up to whole seconds."),

    setting("durability.<name>", "", Kind::Choice(DURABILITY_NAMES),
        "The same for one lane, in place of `ingress.durability`."),

    setting("worker.admin_bind", "0.0.0.0:9081", Kind::Address,
        "Where the worker serves `/livez`, `/readyz`, `/metrics` and `/backlog`. Port 0 takes a free port."),
    setting("worker.consumer", "", Kind::Text,
        "The worker's consumer name, unique among the processes of the group. Empty derives `<host name>-<process id>`."),
    setting("worker.batch_entries_max", "400", count(4, 10_000),
        "Most entries committed in one transaction. At least the number of lanes, so that none starves."),
    setting("worker.batches_in_flight_max", "2", count(1, 64),
        "Most batches that a worker commits at once."),
    setting("worker.gather_ms", "20", millis(0, 10_000),
        "While less than a full batch waits, how long a worker lets it gather after the last one left. 0 sends every delivery on at once; the first after a quiet time never waits."),
    setting("worker.read_wait_ms", "1000", millis(1, MINUTE_MS),
        "How long one read waits for new entries before it returns empty."),
    setting("worker.claim_idle_ms", "60000", millis(1, DAY_MS),
        "How long an entry may stay pending without a sign of life from its worker before another takes it over."),
    setting("worker.take_over_every_ms", "5000", millis(1, HOUR_MS),
        "How often a worker looks for entries to take over."),
    setting("worker.claims_max", "5", count(3, 1000),
        "Claims of one entry, all without an acknowledgement, after which it is taken for one that ends its workers, and is set aside as a dead letter."),
    setting("worker.attempts_max", "10", count(1, 1000),
        "Attempts to apply one event, the first included, before it becomes a dead letter."),
    setting("worker.backoff_first_ms", "1000", millis(1, DAY_MS),
        "The wait before the second attempt; it doubles with each further one."),
    setting("worker.backoff_max_ms", "3600000", millis(1, 30 * DAY_MS),
        "The longest wait between two attempts. At least `worker.backoff_first_ms`."),
    setting("worker.ledger_poll_ms", "1000", millis(1, HOUR_MS),
        "How often a worker looks for pending rows in the ledger."),
    setting("worker.lease_ms", "60000", millis(1, DAY_MS),
        "How long a worker may hold a row of the ledger before another takes it. What a worker that was killed had taken from the ledger is due again by then."),
    setting("worker.consumer_idle_ms", "3600000", millis(1, 30 * DAY_MS),
        "How long a consumer with nothing pending may be idle before it is removed. More than `worker.claim_idle_ms`, and at least three times `worker.read_wait_ms`."),
    setting("worker.lane_weights", "8,4,2,1", Kind::Weights,
        "Shares of the lanes critical, medium, normal and default when all have entries waiting."),
    setting("worker.stop_deadline_ms", "25000", millis(0, HOUR_MS),
        "How long batches in flight may take to finish once the worker was asked to stop."),

    setting("lanes.<name>", "", Kind::Choice(LANE_NAMES),
        "The lane of an event (`payment.captured`) or of a family of events (`payment.dispute`), in place of the built-in one. In the file the name is quoted, since it holds dots; in the environment a dot is written as two underscores."),

    setting("endpoints.<name>.secrets", "", Kind::Secrets,
        "The webhook secrets of the endpoint `/webhooks/razorpay/<name>`, newest first; the endpoint `default` is `/webhooks/razorpay` too. A name is 1 to 64 of a-z, 0-9, - and _. Keep the previous secret for at least 24 hours after a rotation: retries of older events still carry its signature. From a file they are taken without a restart."),
    setting("endpoints.<name>.allow", "", Kind::Senders,
        "The only client addresses that may use the endpoint; others are answered 403. `razorpay` stands for the webhook addresses that Razorpay had published by April 2026 (security/whitelists.md of its documentation). Without it, anybody may. See `ingress.trusted_proxies` where a load balancer stands in front."),
    setting("endpoints.<name>.diagnose_with", "", Kind::Secrets,
        "Secrets that never verify a delivery, such as that of Razorpay's API: a refused signature is compared with them, so that the log can tell that the wrong secret was used. Best as a file."),

    setting("log.format", "auto", Kind::Choice(&["auto", "json", "pretty"]),
        "How log lines are written to standard error. `auto` is `pretty` on a terminal and `json` elsewhere."),
    setting("log.level", "info", Kind::LogFilter,
        "What is logged, in the syntax of `RUST_LOG` (which wins where it is set): `info`, `warn,harkara_ingress=debug`."),

    setting("trace.ordinary_per_s_max", "100", count(0, 1_000_000),
        "Most traces kept in a second by one process, of those that the sampler (`OTEL_TRACES_SAMPLER`) keeps and no caller asked for. Failed, retried and slow deliveries are kept besides."),
    setting("trace.slow_ms", "1000", millis(1, 3_600_000),
        "A delivery that takes longer to its answer, or from its receipt to its commit, is kept whatever the sampler says."),
    setting("trace.links_only", "false", Kind::Choice(&["true", "false"]),
        "`true`: processing is a trace of its own that links to the delivery's; `false`: it goes on with the delivery's trace."),
];

impl Kind {
    /// Whether a value of this kind must never be shown.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Url(_) | Self::Secrets | Self::Password)
    }

    /// What a value must be, for a fault and for the reference.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Url(schemes) => format!("a URL that begins with {}", schemes.join(" or ")),
            Self::Address => "an IP address and port such as 0.0.0.0:8080 or [::1]:8080".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::PemFile => "the path of a file in PEM form".to_owned(),
            Self::Whole { min, max, unit } => {
                let of = if unit.is_empty() {
                    String::new()
                } else {
                    format!(" of {unit}")
                };
                format!("a whole number{of} from {min} to {max}")
            }
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Weights => format!(
                "four whole numbers from 1 to {LANE_WEIGHT_MAX} separated by commas, for the lanes {}",
                LANE_NAMES.join(", ")
            ),
            Self::LogFilter => "a log filter such as info or warn,harkara_ingress=debug".to_owned(),
            Self::Secrets => "secrets separated by commas, or a list of them".to_owned(),
            Self::Networks => {
                "addresses and networks such as 10.0.0.0/8 separated by commas, or a list of them"
                    .to_owned()
            }
            Self::Senders => {
                "addresses, networks such as 10.0.0.0/8 and the word razorpay separated by commas, or a list of them"
                    .to_owned()
            }
            Self::Servers => {
                "hosts with ports such as redis-1.internal:26379 separated by commas, or a list of them"
                    .to_owned()
            }
            Self::Password => "a secret".to_owned(),
        }
    }
}

/// The setting with exactly this key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
