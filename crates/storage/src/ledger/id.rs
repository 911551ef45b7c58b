//! The id of the ledger, and its adoption of streams.

use diesel::dsl::sql;
use diesel::sql_query;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;
use harkara_core::deployment::{LedgerId, Mark};

use crate::{Pool, StorageError};

/// Which ledger this is.
pub async fn ledger_id(pool: &Pool) -> Result<LedgerId, StorageError> {
    let query = sql::<Text>("SELECT ledger_id::text FROM harkara_schema");
    let id: String = pool.get_row("read the id of the ledger", query).await?;
    Ok(LedgerId::new(&id))
}

/// Writes the audit row of an operator who gave this deployment the streams of another.
pub async fn audit_adoption(
    pool: &Pool,
    streams: &str,
    from: Option<&Mark>,
    to: &Mark,
    actor: &str,
) -> Result<(), StorageError> {
    let query = sql_query(
        "INSERT INTO audit_logs (actor, action, entity_type, entity_id, from_status, to_status) \
         VALUES ($1, 'adopt', 'streams', $2, $3, $4)",
    )
    .bind::<Text, _>(actor)
    .bind::<Text, _>(streams)
    .bind::<Nullable<Text>, _>(from.map(Mark::as_str))
    .bind::<Text, _>(to.as_str());
    let insert = pool.run("audit an adoption", async |connection| {
        query.execute(connection).await
    });
    insert.await.map(drop)
}
