//! Whether the months to come have their partitions.

use diesel::sql_types::{Integer, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;

use crate::migrations::PARTITION_MONTHS_AHEAD;
use crate::{Pool, StorageError};

/// Partitions of the ledger and of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    /// Those of the present month and of the months ahead that are not there, by name.
    pub missing: Vec<String>,
    /// Default partitions that hold rows: of a month that had no partition when they came.
    pub defaults_in_use: Vec<String>,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Looks for the partitions that [`crate::migrations::ensure_partitions`] keeps ready, last month's aside,
/// and into the default ones. The schema must be there.
pub async fn partitions(pool: &Pool) -> Result<Partitions, StorageError> {
    pool.within("look for partitions", async |connection| {
        let missing: Vec<Name> = sql_query(
            "SELECT name FROM (VALUES ('webhook_events'), ('audit_logs')) parents (parent), \
               generate_series(0, $1) AS months (ahead), \
               LATERAL (SELECT parent || '_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') \
                 + make_interval(months => ahead), 'YYYY\"_\"MM') AS name) names \
             WHERE NOT EXISTS (SELECT 1 FROM pg_inherits \
               WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(name)) \
             ORDER BY ahead, parent",
        )
        .bind::<Integer, _>(PARTITION_MONTHS_AHEAD)
        .load(&mut *connection)
        .await
        .map_err(StorageError::statement("look for partitions"))?;
        let in_use: Vec<Name> = sql_query(
            "SELECT 'webhook_events_default' AS name WHERE EXISTS (SELECT 1 FROM webhook_events_default) \
             UNION ALL SELECT 'audit_logs_default' WHERE EXISTS (SELECT 1 FROM audit_logs_default)",
        )
        .load(&mut *connection)
        .await
        .map_err(StorageError::statement("look into the default partitions"))?;
        let names = |rows: Vec<Name>| rows.into_iter().map(|row| row.name).collect();
        Ok(Partitions {
            missing: names(missing),
            defaults_in_use: names(in_use),
        })
    })
    .await
}
