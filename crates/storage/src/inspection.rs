//! What an operator's look at the server and at the schema finds. Every question is a `SELECT` and writes
//! nothing.

mod indexes;
mod partitions;
mod server;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::{Pool, StorageError};

pub use indexes::{INDEXES, Index, IndexFault, index_faults};
pub use partitions::{Partitions, partitions};
pub use server::{ServerState, server_state};

/// The server's present time, by its own clock.
pub async fn time(pool: &Pool) -> Result<DateTime<Utc>, StorageError> {
    pool.within("ask for the time", async |connection| {
        diesel::select(diesel::dsl::sql::<Timestamptz>("clock_timestamp()"))
            .get_result(connection)
            .await
            .map_err(StorageError::statement("ask for the time"))
    })
    .await
}

/// The newest migration that is applied. The schema must be there.
pub async fn newest_applied(pool: &Pool) -> Result<Option<String>, StorageError> {
    pool.within("read applied migrations", async |connection| {
        diesel::dsl::sql::<Nullable<Text>>("SELECT max(version) FROM __diesel_schema_migrations")
            .get_result(connection)
            .await
            .map_err(StorageError::statement("read applied migrations"))
    })
    .await
}
