//! Read-only inspection of the server and the schema.

mod indexes;
mod partitions;
mod server;
mod tables;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Nullable, Text, Timestamptz};

use crate::connect::Target;
use crate::session_settings::SessionSettings;
use crate::{Pool, PoolSettings, StorageError};

pub use indexes::{INDEXES, Index, IndexProblem, index_problems};
pub use partitions::{Partitions, partitions};
pub use server::{ServerState, server_state};
pub use tables::{MissingPrivilege, TableLock, lock_on, missing_privileges, table_locks};

/// The server's clock.
pub async fn time(pool: &Pool) -> Result<DateTime<Utc>, StorageError> {
    let query = diesel::select(sql::<Timestamptz>("clock_timestamp()"));
    pool.get_row("ask for the time", query).await
}

/// Whether the server lets somebody in who has no password. The attempt is in its log.
pub async fn admits_anybody(settings: &PoolSettings) -> Result<bool, StorageError> {
    let session = SessionSettings::of_pool(settings);
    Target::new(settings, &session).admits_anybody().await
}

/// The newest migration that is applied. The schema must exist.
pub async fn newest_applied(pool: &Pool) -> Result<Option<String>, StorageError> {
    let query = sql::<Nullable<Text>>("SELECT max(version) FROM __diesel_schema_migrations");
    pool.get_row("read applied migrations", query).await
}
