//! Which secrets verified the received events.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};

use crate::{Pool, StorageError};

/// Events of one endpoint that one secret verified.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct SecretUse {
    /// The endpoint.
    #[diesel(sql_type = Text)]
    pub endpoint: String,
    /// The secret; `None` for events from before secrets were recorded.
    #[diesel(sql_type = Nullable<Text>)]
    pub secret_fingerprint: Option<String>,
    /// How many events it verified.
    #[diesel(sql_type = BigInt)]
    pub events: i64,
    /// When the first of them was received.
    #[diesel(sql_type = Timestamptz)]
    pub first_used_at: DateTime<Utc>,
    /// When the last of them was received.
    #[diesel(sql_type = Timestamptz)]
    pub last_used_at: DateTime<Utc>,
}

/// Counts the events received since a time by endpoint and secret. Duplicates are not counted: a ledger row
/// knows only the secret of its first delivery.
///
/// Reads every row received since then, along the index `webhook_events_created_at` or whole partitions, and
/// no others. There is no index of secrets: each delivery would pay for a query that runs once a rotation.
pub async fn secret_uses(
    pool: &Pool,
    since: DateTime<Utc>,
) -> Result<Vec<SecretUse>, StorageError> {
    let query = sql_query(
        "SELECT endpoint, secret_fingerprint, count(*) AS events, min(created_at) AS first_used_at, \
           max(created_at) AS last_used_at \
         FROM webhook_events WHERE created_at >= $1 GROUP BY endpoint, secret_fingerprint \
         ORDER BY endpoint, last_used_at DESC",
    )
    .bind::<Timestamptz, _>(since);
    pool.load("count the uses of secrets", query).await
}
