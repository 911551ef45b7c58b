//! Metrics of the worker.

use super::{Kind, Metric, metric, named, one_of};

/// Events by what became of them.
pub const WORKER_EVENTS: Metric = metric(
    "harkara_worker_events_total",
    Kind::Counter,
    &[
        named("event", "the names of the catalogue of events, and `other`"),
        one_of(
            "outcome",
            &["processed", "failed", "retried", "duplicate", "superseded"],
        ),
    ],
    "Events by name and by what became of them: processed, stored as a dead letter, stored to be retried, known before, or settled by another worker meanwhile",
);

/// Attempts that events took.
pub const WORKER_ATTEMPTS: Metric = metric(
    "harkara_worker_attempts",
    Kind::Histogram,
    &[],
    "Attempts that an event had taken when it was processed or stored as a dead letter",
);

/// Snapshots by effect.
pub const WORKER_SNAPSHOTS: Metric = metric(
    "harkara_worker_snapshots_total",
    Kind::Counter,
    &[one_of("effect", &["changed", "unchanged"])],
    "Entity snapshots by effect: changed a row, or came late and changed nothing",
);

/// Committed batches.
pub const WORKER_BATCHES: Metric = metric(
    "harkara_worker_batches_total",
    Kind::Counter,
    &[],
    "Committed batches",
);

/// Events of a batch.
pub const WORKER_BATCH_EVENTS: Metric = metric(
    "harkara_worker_batch_events",
    Kind::Histogram,
    &[],
    "Events of a committed batch",
);

/// The time of a batch.
pub const WORKER_BATCH_SECONDS: Metric = metric(
    "harkara_worker_batch_seconds",
    Kind::Histogram,
    &[],
    "Time from taking up a batch of fresh deliveries to its acknowledgement",
);

/// The time of each step of a batch.
pub const WORKER_STAGE_SECONDS: Metric = metric(
    "harkara_worker_stage_seconds",
    Kind::Histogram,
    &[one_of(
        "stage",
        &["wait", "decode", "commit", "acknowledge"],
    )],
    "Time of each stage of a batch: its wait since it was claimed, reading its bodies, its transaction, its acknowledgement",
);

/// The time from receipt to commit.
pub const WORKER_RECEIPT_TO_COMMIT_SECONDS: Metric = metric(
    "harkara_worker_receipt_to_commit_seconds",
    Kind::Histogram,
    &[one_of("lane", &["critical", "medium", "normal", "default"])],
    "Time from the receipt of a fresh delivery to its commit, by the clocks of ingress and worker",
);

/// The time of statements.
pub const WORKER_STATEMENT_SECONDS: Metric = metric(
    "harkara_worker_statement_seconds",
    Kind::Histogram,
    &[named("statement", "the statements of a commit")],
    "Time of each statement of a commit, which holds its wait for those that were sent before it",
);

/// Reclaimed entries.
pub const WORKER_ENTRIES_RECLAIMED: Metric = metric(
    "harkara_worker_entries_reclaimed_total",
    Kind::Counter,
    &[],
    "Pending entries reclaimed from other consumers",
);

/// Entries set aside.
pub const WORKER_ENTRIES_SET_ASIDE: Metric = metric(
    "harkara_worker_entries_set_aside_total",
    Kind::Counter,
    &[],
    "Entries stored as failed because workers died with them",
);

/// Waits for a store.
pub const WORKER_WAITS: Metric = metric(
    "harkara_worker_waits_total",
    Kind::Counter,
    &[],
    "Times a batch had to wait for PostgreSQL or Redis",
);

/// Groups created anew.
pub const WORKER_GROUPS_RECREATED: Metric = metric(
    "harkara_worker_groups_recreated_total",
    Kind::Counter,
    &[],
    "Times a consumer group was found missing and created anew",
);

/// Connections of the pool.
pub const WORKER_POOL_CONNECTIONS: Metric = metric(
    "harkara_worker_pool_connections",
    Kind::Gauge,
    &[one_of("state", &["in_use", "idle"])],
    "Connections to PostgreSQL by whether they are in use",
);

/// All of them.
pub(super) const WORKER: &[&Metric] = &[
    &WORKER_EVENTS,
    &WORKER_RECEIPT_TO_COMMIT_SECONDS,
    &WORKER_ATTEMPTS,
    &WORKER_SNAPSHOTS,
    &WORKER_BATCHES,
    &WORKER_BATCH_EVENTS,
    &WORKER_BATCH_SECONDS,
    &WORKER_STAGE_SECONDS,
    &WORKER_STATEMENT_SECONDS,
    &WORKER_POOL_CONNECTIONS,
    &WORKER_WAITS,
    &WORKER_ENTRIES_RECLAIMED,
    &WORKER_ENTRIES_SET_ASIDE,
    &WORKER_GROUPS_RECREATED,
];
