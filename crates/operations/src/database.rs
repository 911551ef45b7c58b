//! The database as every operation needs it: reachable, with a schema that this binary knows.

use harkara_core::secret::Secret;
use harkara_settings::PostgresSettings;
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{Pool, PoolSettings, StorageError};

use crate::OperationError;

/// Connections of one operator: operations query one thing after another.
const CONNECTIONS_MAX: usize = 2;

/// A database with a schema that this binary knows.
pub async fn open(settings: &PostgresSettings) -> Result<Pool, OperationError> {
    let pool = reach(settings).await?;
    check_schema(&pool).await?;
    Ok(pool)
}

/// A database that answers, whatever its schema.
pub async fn reach(settings: &PostgresSettings) -> Result<Pool, OperationError> {
    let pool = pool(settings)?;
    pool.ping().await.map_err(|source| match source {
        StorageError::Connect(_) => OperationError::Unavailable {
            address: address(&settings.url),
            source,
        },
        other => other.into(),
    })?;
    Ok(pool)
}

/// Applies the missing migrations and creates the partitions of the months ahead; returns the versions that
/// were applied.
pub async fn migrate(settings: &PostgresSettings) -> Result<Vec<String>, OperationError> {
    let pool = reach(settings).await?;
    let applied = migrations::migrate(&settings.url, settings.tls.as_ref()).await?;
    // A schema newer than this binary has every migration, and may still exclude it.
    check_schema(&pool).await?;
    migrations::ensure_partitions(&pool).await?;
    Ok(applied)
}

/// A pool for operators. It connects when first used.
pub fn pool(settings: &PostgresSettings) -> Result<Pool, StorageError> {
    Pool::new(&PoolSettings {
        connections_max: CONNECTIONS_MAX,
        ..PoolSettings::of(settings, "harkara")
    })
}

async fn check_schema(pool: &Pool) -> Result<(), OperationError> {
    match migrations::check(pool).await? {
        SchemaState::Fits => Ok(()),
        unfit => Err(OperationError::Schema(unfit)),
    }
}

/// Host and port of a `postgres://` URL, never its user or password.
#[must_use]
pub fn address(url: &Secret) -> String {
    let url = url.expose();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    let has_port = hosts
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if hosts.is_empty() {
        "the address in the URL's parameters".to_owned()
    } else if has_port {
        hosts.to_owned()
    } else {
        format!("{hosts}:5432")
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, address};

    #[test]
    fn an_address_has_no_user_and_no_password() {
        for (url, expected) in [
            (
                "postgres://u:p@db.internal:6432/harkara?sslmode=require",
                "db.internal:6432",
            ),
            ("postgres://u:p%40@db", "db:5432"),
            ("postgresql://[::1]:5433/x", "[::1]:5433"),
            (
                "postgres:///x?host=/run/postgresql",
                "the address in the URL's parameters",
            ),
        ] {
            assert_eq!(address(&Secret::new(url)), expected);
        }
    }
}
