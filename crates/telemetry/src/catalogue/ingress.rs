//! Metrics of the ingress.

use super::{Kind, Metric, metric, named, one_of};

/// Requests by what became of them.
pub const INGRESS_DELIVERIES: Metric = metric(
    "harkara_ingress_deliveries_total",
    Kind::Counter,
    &[one_of(
        "outcome",
        &[
            "accepted",
            "invalid_signature",
            "unknown_endpoint",
            "too_large",
            "headers_too_large",
            "timeout",
            "incomplete",
            "forbidden",
            "rate_limited",
            "overloaded",
            "unavailable",
        ],
    )],
    "Requests to webhook endpoints by what became of them",
);

/// Refused signatures by reason.
pub const INGRESS_INVALID_SIGNATURES: Metric = metric(
    "harkara_ingress_invalid_signatures_total",
    Kind::Counter,
    &[one_of(
        "reason",
        &["missing", "wrong_length", "not_hex", "no_match"],
    )],
    "Deliveries refused for their signature, by reason",
);

/// Refused signatures by likely cause.
pub const INGRESS_REFUSED_CAUSES: Metric = metric(
    "harkara_ingress_refused_causes_total",
    Kind::Counter,
    &[named(
        "cause",
        "what the diagnosis finds; see the operations guide",
    )],
    "Samples of deliveries whose signature no live secret fits, by likely cause",
);

/// Bytes of accepted bodies.
pub const INGRESS_ACCEPTED_BYTES: Metric = metric(
    "harkara_ingress_accepted_bytes_total",
    Kind::Counter,
    &[],
    "Body bytes of accepted deliveries",
);

/// Accepted deliveries by the level that was reached.
pub const INGRESS_DURABLE: Metric = metric(
    "harkara_ingress_durable_total",
    Kind::Counter,
    &[one_of(
        "level",
        &["appended", "fsynced", "replicated", "stored"],
    )],
    "Accepted deliveries by how durable they were when they were answered",
);

/// The time from receipt to answer.
pub const INGRESS_ANSWER_SECONDS: Metric = metric(
    "harkara_ingress_answer_seconds",
    Kind::Histogram,
    &[one_of("answer", &["accepted", "refused", "unavailable"])],
    "Time from the head of a request to its answer, by the kind of answer",
);

/// Requests in hand.
pub const INGRESS_IN_FLIGHT: Metric = metric(
    "harkara_ingress_in_flight",
    Kind::Gauge,
    &[],
    "Requests that have not been answered yet",
);

/// The breaker before Redis.
pub const INGRESS_REDIS_BREAKER: Metric = metric(
    "harkara_ingress_redis_breaker",
    Kind::Gauge,
    &[one_of("state", &["closed", "failing", "unfit"])],
    "1 for the state that the breaker before Redis is in: closed (deliveries go there), failing, unfit",
);

/// Bodies in memory.
pub const INGRESS_BUFFERED_BYTES: Metric = metric(
    "harkara_ingress_buffered_bytes",
    Kind::Gauge,
    &[],
    "Body bytes held in memory by requests in flight",
);

/// Appends that went together.
pub const INGRESS_APPEND_GROUP: Metric = metric(
    "harkara_ingress_append_group",
    Kind::Histogram,
    &[],
    "Deliveries appended together and confirmed at once, where a level is confirmed in groups",
);

/// Deliveries that wait for the inbox.
pub const INGRESS_INBOX_WAITING: Metric = metric(
    "harkara_ingress_inbox_waiting",
    Kind::Gauge,
    &[],
    "Deliveries that are being stored in PostgreSQL or wait for it, because Redis did not take them",
);

/// Deliveries by the place of the secret that fitted.
pub const INGRESS_MATCHED_SECRETS: Metric = metric(
    "harkara_ingress_matched_secrets_total",
    Kind::Counter,
    &[one_of("age", &["newest", "older"])],
    "Rightly signed deliveries by whether the newest of the endpoint's live secrets fitted or an older one",
);

/// Uses of each live secret.
pub const INGRESS_SECRET_USED: Metric = metric(
    "harkara_ingress_secret_used_total",
    Kind::Counter,
    &[
        named("endpoint", "the endpoints of the settings"),
        named("secret", "the fingerprints of their live secrets"),
    ],
    "Deliveries by the live secret that verified them, which its fingerprint names",
);

/// The last use of each live secret.
pub const INGRESS_SECRET_LAST_USED: Metric = metric(
    "harkara_ingress_secret_last_used_timestamp_seconds",
    Kind::Gauge,
    &[
        named("endpoint", "the endpoints of the settings"),
        named("secret", "the fingerprints of their live secrets"),
    ],
    "When a live secret last verified a delivery in this process; 0 for never",
);

/// Reloads of secrets.
pub const INGRESS_SECRETS_RELOADS: Metric = metric(
    "harkara_ingress_secrets_reloads_total",
    Kind::Counter,
    &[one_of("outcome", &["changed", "failed"])],
    "Looks at files of secrets that found them changed, or failed and left the secrets as they were",
);

/// The streak of answers that are no 2xx.
pub const INGRESS_FAILING_STREAK: Metric = metric(
    "harkara_ingress_failing_streak",
    Kind::Gauge,
    &[named("endpoint", "the endpoints of the settings")],
    "Answers of this process other than 2xx since its last 2xx, to requests with a signature of the right form",
);

/// The time until Razorpay disables an endpoint.
pub const INGRESS_DISABLED_IN_SECONDS: Metric = metric(
    "harkara_ingress_disabled_in_seconds",
    Kind::Gauge,
    &[named("endpoint", "the endpoints of the settings")],
    "Time until Razorpay disables the endpoint if the present streak without any 2xx goes on, which it does after 24 hours; 86400 while there is none",
);

/// All of them.
pub(super) const INGRESS: &[&Metric] = &[
    &INGRESS_DELIVERIES,
    &INGRESS_ANSWER_SECONDS,
    &INGRESS_IN_FLIGHT,
    &INGRESS_ACCEPTED_BYTES,
    &INGRESS_BUFFERED_BYTES,
    &INGRESS_DURABLE,
    &INGRESS_APPEND_GROUP,
    &INGRESS_REDIS_BREAKER,
    &INGRESS_INVALID_SIGNATURES,
    &INGRESS_REFUSED_CAUSES,
    &INGRESS_INBOX_WAITING,
    &INGRESS_MATCHED_SECRETS,
    &INGRESS_SECRET_USED,
    &INGRESS_SECRET_LAST_USED,
    &INGRESS_SECRETS_RELOADS,
    &INGRESS_FAILING_STREAK,
    &INGRESS_DISABLED_IN_SECONDS,
];
