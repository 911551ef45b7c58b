//! Whether the coming months have their partitions.

use diesel::dsl::sql;
use diesel::sql_types::{Integer, Text};

use crate::migrations::PARTITION_MONTHS_AHEAD;
use crate::{Pool, StorageError};

/// Partitions of the ledger and of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    /// Missing partitions of this month and of the months ahead, by name.
    pub missing: Vec<String>,
    /// Default partitions that hold rows, which came in a month without a partition.
    pub defaults_in_use: Vec<String>,
}

/// Looks for the partitions that [`crate::migrations::ensure_partitions`] creates, except last month's, and
/// for rows in the default ones. The schema must exist.
pub async fn partitions(pool: &Pool) -> Result<Partitions, StorageError> {
    let missing = sql::<Text>(
        "SELECT name FROM (VALUES ('webhook_events'), ('audit_logs')) parents (parent), \
           generate_series(0, ",
    )
    .bind::<Integer, _>(PARTITION_MONTHS_AHEAD)
    .sql(
        ") AS months (ahead), \
           LATERAL (SELECT parent || '_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') \
             + make_interval(months => ahead), 'YYYY\"_\"MM') AS name) names \
         WHERE NOT EXISTS (SELECT 1 FROM pg_inherits \
           WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(name)) \
         ORDER BY ahead, parent",
    );
    let defaults_in_use = sql::<Text>(
        "SELECT 'webhook_events_default' WHERE EXISTS (SELECT 1 FROM webhook_events_default) \
         UNION ALL SELECT 'audit_logs_default' WHERE EXISTS (SELECT 1 FROM audit_logs_default)",
    );
    Ok(Partitions {
        missing: pool.load("look for partitions", missing).await?,
        defaults_in_use: pool
            .load("look into the default partitions", defaults_in_use)
            .await?,
    })
}
