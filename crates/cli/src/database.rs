//! The database, as every command meets it: reachable, and with a schema that this binary knows.

use anyhow::{Context, bail};
use harkara_core::causes::with_causes;
use harkara_core::secret::Secret;
use harkara_settings::PostgresSettings;
use harkara_storage::migrations;
use harkara_storage::{ConnectError, Pool, PoolSettings, StorageError};

/// Connections of one command: it asks one thing after another.
const CONNECTIONS_MAX: usize = 2;

/// A database with a schema that this binary knows, or one sentence on what is wrong.
pub(crate) async fn open(settings: &PostgresSettings) -> anyhow::Result<Pool> {
    let pool = reach(settings).await?;
    let state = migrations::check(&pool)
        .await
        .context("the schema cannot be checked")?;
    match state.problem() {
        None => Ok(pool),
        Some(fault) => bail!(fault),
    }
}

/// Connections to a database that need not answer yet.
pub(crate) fn lay_out(settings: &PostgresSettings) -> Result<Pool, StorageError> {
    Pool::new(&PoolSettings {
        url: settings.url.clone(),
        tls: settings.tls.clone(),
        application: "harkara",
        connections_max: CONNECTIONS_MAX,
        connect_timeout: settings.connect_timeout,
        statement_timeout: settings.statement_timeout,
    })
}

/// A database that answers, whatever its schema.
pub(crate) async fn reach(settings: &PostgresSettings) -> anyhow::Result<Pool> {
    let pool = lay_out(settings)?;
    match pool.ping().await {
        Ok(()) => Ok(pool),
        Err(StorageError::Connect(error)) => {
            let address = address(&settings.url);
            let reason = match &error {
                ConnectError::Server { source, .. } => with_causes(source),
                other => with_causes(other),
            };
            bail!(
                "PostgreSQL at {address} cannot be used: {reason}; check that it runs and that postgres.url \
                 (HARKARA__POSTGRES__URL) names it, or start one with `cargo dev up`"
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// Host and port of a `postgres://` URL, never its user or password.
pub(crate) fn address(url: &Secret) -> String {
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
    fn an_address_is_told_without_user_and_password() {
        for (url, told) in [
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
            assert_eq!(address(&Secret::new(url)), told);
        }
    }
}
