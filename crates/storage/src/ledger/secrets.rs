//! Which secrets verified the received events.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};

use super::Stretch;
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

/// Counts the events of a stretch of the ledger by endpoint and secret. Duplicates are not counted: a ledger
/// row knows only the secret of its first delivery.
///
/// Reads every row of the stretch, along the index `webhook_events_created_at`. There is no index of secrets:
/// each delivery would pay for a query that runs once a rotation.
pub async fn secret_uses(pool: &Pool, stretch: Stretch) -> Result<Vec<SecretUse>, StorageError> {
    let query = sql_query(
        "SELECT endpoint, secret_fingerprint, count(*) AS events, min(created_at) AS first_used_at, \
           max(created_at) AS last_used_at \
         FROM webhook_events WHERE created_at >= $1 AND created_at < $2 GROUP BY endpoint, secret_fingerprint",
    )
    .bind::<Timestamptz, _>(stretch.from)
    .bind::<Timestamptz, _>(stretch.before);
    pool.load("count the uses of secrets", query).await
}
