//! Metrics of the ingress.

use super::{Label, metrics, named, one_of};

const ENDPOINT: Label = named("endpoint", "the endpoints of the settings");
const SECRET: Label = named("secret", "the fingerprints of their live secrets");

metrics! { INGRESS:
    INGRESS_DELIVERIES = Counter "harkara_ingress_deliveries_total"
        [one_of("outcome", &[
            "accepted", "invalid_signature", "unknown_endpoint", "too_large", "headers_too_large", "timeout",
            "incomplete", "forbidden", "rate_limited", "overloaded", "unavailable",
        ])]
        "Deliveries received, by outcome";
    INGRESS_ANSWER_SECONDS = Histogram "harkara_ingress_answer_seconds"
        [one_of("answer", &["accepted", "refused", "unavailable"])]
        "Time from the head of a request to its answer, by kind of answer";
    INGRESS_IN_FLIGHT = Gauge "harkara_ingress_in_flight" []
        "Requests in flight";
    INGRESS_CONNECTIONS = Gauge "harkara_ingress_connections" []
        "Open connections of the public port";
    INGRESS_CONNECTIONS_CLOSED = Counter "harkara_ingress_connections_closed_total"
        [one_of("reason", &[
            "idle", "head", "request", "unread", "closing", "crowded", "address", "forbidden",
        ])]
        "Connections closed for exceeding a bound, or not admitted, by reason";
    INGRESS_ACCEPTED_BYTES = Counter "harkara_ingress_accepted_bytes_total" []
        "Body bytes of accepted deliveries";
    INGRESS_BUFFERED_BYTES = Gauge "harkara_ingress_buffered_bytes" []
        "Body bytes held in memory by requests in flight";
    INGRESS_DURABLE = Counter "harkara_ingress_durable_total"
        [one_of("level", &["appended", "fsynced", "replicated", "stored"])]
        "Accepted deliveries, by the durability level reached before the answer";
    INGRESS_APPEND_GROUP = Histogram "harkara_ingress_append_group" []
        "Deliveries per group, where appends are confirmed in groups";
    INGRESS_REDIS_BREAKER = Gauge "harkara_ingress_redis_breaker"
        [one_of("state", &["closed", "failing", "unfit"])]
        "1 for the current state of the Redis breaker: closed (deliveries go to Redis), failing, or unfit";
    INGRESS_INVALID_SIGNATURES = Counter "harkara_ingress_invalid_signatures_total"
        [one_of("reason", &["missing", "wrong_length", "not_hex", "no_match"])]
        "Deliveries refused for their signature, by reason";
    INGRESS_REFUSED_CAUSES = Counter "harkara_ingress_refused_causes_total"
        [named("cause", "the causes that the diagnosis knows; see the operations guide")]
        "Sampled deliveries whose signature matches no live secret, by likely cause";
    INGRESS_INBOX_WAITING = Gauge "harkara_ingress_inbox_waiting" []
        "Deliveries being stored in PostgreSQL, or waiting for it, because Redis did not take them";
    INGRESS_MATCHED_SECRETS = Counter "harkara_ingress_matched_secrets_total"
        [one_of("age", &["newest", "older"])]
        "Verified deliveries, by whether the endpoint's newest live secret matched or an older one";
    INGRESS_SECRET_USED = Counter "harkara_ingress_secret_used_total" [ENDPOINT, SECRET]
        "Deliveries verified by each live secret, identified by its fingerprint";
    INGRESS_SECRET_LAST_USED = Gauge "harkara_ingress_secret_last_used_timestamp_seconds" [ENDPOINT, SECRET]
        "When each live secret last verified a delivery in this process; 0 if never";
    INGRESS_SECRETS_RELOADS = Counter "harkara_ingress_secrets_reloads_total"
        [one_of("outcome", &["changed", "failed"])]
        "Reloads of the secret files, by outcome: changed, or failed (the secrets in use stay)";
    INGRESS_FAILING_STREAK = Gauge "harkara_ingress_failing_streak" [ENDPOINT]
        "Answers other than 2xx since the last 2xx of this process, to requests with a well-formed signature";
    INGRESS_DISABLED_IN_SECONDS = Gauge "harkara_ingress_disabled_in_seconds" [ENDPOINT]
        "Time until Razorpay disables the endpoint, 24 hours after a streak without any 2xx began; 86400 without a streak";
}
