//! Metrics of the worker.

use super::{LANE, Label, metrics, named, one_of};

const TABLE: Label = named("table", "the tables of projections");

metrics! { WORKER:
    WORKER_EVENTS = Counter "harkara_worker_events_total"
        [
            named("event", "an event name of the catalogue, or `other`"),
            one_of("outcome", &["processed", "failed", "retried", "duplicate", "superseded", "postponed"]),
        ]
        "Events by name and outcome: processed, dead-lettered, stored for a retry, duplicate, settled by another worker, or waiting for a table that cannot be written";
    WORKER_RECEIPT_TO_COMMIT_SECONDS = Histogram "harkara_worker_receipt_to_commit_seconds" [LANE]
        "Time from the receipt of a fresh delivery to its commit, by the clocks of ingress and worker";
    WORKER_ATTEMPTS = Histogram "harkara_worker_attempts" []
        "Attempts per event until it was processed or dead-lettered";
    WORKER_SNAPSHOTS = Counter "harkara_worker_snapshots_total"
        [one_of("effect", &["changed", "unchanged"])]
        "Entity snapshots, by effect: a row changed, or the snapshot came late and changed nothing";
    WORKER_BATCHES = Counter "harkara_worker_batches_total" []
        "Committed batches";
    WORKER_BATCH_EVENTS = Histogram "harkara_worker_batch_events" []
        "Events per committed batch";
    WORKER_BATCH_SECONDS = Histogram "harkara_worker_batch_seconds" []
        "Processing time of a batch of fresh deliveries, up to its acknowledgement";
    WORKER_STAGE_SECONDS = Histogram "harkara_worker_stage_seconds"
        [one_of("stage", &["wait", "decode", "commit", "acknowledge"])]
        "Time a batch spends in each stage; `wait` begins with its claim";
    WORKER_STATEMENT_SECONDS = Histogram "harkara_worker_statement_seconds"
        [named("statement", "the statements of a commit")]
        "Time of each statement of a commit, including the wait for those pipelined before it";
    WORKER_POOL_CONNECTIONS = Gauge "harkara_worker_pool_connections"
        [one_of("state", &["in_use", "idle"])]
        "Connections to PostgreSQL, by state";
    WORKER_WAITS = Counter "harkara_worker_waits_total" []
        "Times a batch had to wait for PostgreSQL or Redis";
    WORKER_TABLE_UNAVAILABLE = Gauge "harkara_worker_table_unavailable" [TABLE]
        "1 while the table cannot be written and its events wait in the ledger";
    WORKER_EVENTS_POSTPONED = Counter "harkara_worker_events_postponed_total" [TABLE]
        "Times an event was stored as pending because the table cannot be written";
    WORKER_ENTRIES_RECLAIMED = Counter "harkara_worker_entries_reclaimed_total" []
        "Pending entries reclaimed from other consumers";
    WORKER_ENTRIES_SET_ASIDE = Counter "harkara_worker_entries_set_aside_total" []
        "Entries dead-lettered after repeated crashes";
    WORKER_ENTRIES_DELETED = Counter "harkara_worker_entries_deleted_total" []
        "Entries that somebody deleted from their streams before they were acknowledged";
    WORKER_ENTRIES_SKIPPED = Counter "harkara_worker_entries_skipped_total" []
        "Entries that the consumer group had skipped because somebody moved it, and that a worker then processed";
    WORKER_ENTRIES_UNKNOWN_ENDPOINT = Counter "harkara_worker_entries_unknown_endpoint_total" []
        "Times an entry was left in Redis because the worker's settings do not name its endpoint";
    WORKER_GROUPS_RECREATED = Counter "harkara_worker_groups_recreated_total" []
        "Times a consumer group was missing and created again";
    WORKER_DEFAULT_PARTITION_ROWS = Gauge "harkara_worker_default_partition_rows"
        [one_of("table", &["webhook_events", "audit_logs"])]
        "Rows of months without a partition of their own, counted up to 10,000 every minute";
}
