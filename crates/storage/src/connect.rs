//! One new connection to PostgreSQL.

use std::time::Duration;

use diesel_async::AsyncPgConnection;
use harkara_tls::{ClientTls, Refusal};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{ConnectError, StorageError};

/// A connection that is silent for this long is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Data that stays unacknowledged for this long means a dead connection. (Without it a silently
/// dropped connection would look alive for a quarter of an hour.)
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// The port where a URL names none.
const POSTGRES_PORT: u16 = 5432;

/// Connects, verifying the server by `tls`; without it, the connection is plain, and a URL that asks for TLS
/// is refused.
pub(crate) async fn connect(
    url: &str,
    tls: Option<&ClientTls>,
) -> Result<AsyncPgConnection, StorageError> {
    let mut config: Config = url.parse().map_err(|_| ConnectError::InvalidUrl)?;
    config
        .keepalives_idle(KEEPALIVE_IDLE)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    if tls.is_some() {
        config.ssl_mode(SslMode::Require);
    }
    let failed = |source| not_connected(address(&config), source);
    let connection = match tls {
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
        Some(tls) => {
            let tls = MakeRustlsConnect::new(tls.config().clone());
            let (client, connection) = config.connect(tls).await.map_err(failed)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
    };
    Ok(connection.map_err(ConnectError::Session)?)
}

fn not_connected(address: String, source: tokio_postgres::Error) -> StorageError {
    match Refusal::within(&source) {
        Some(refusal) => StorageError::Untrusted { address, refusal },
        None => ConnectError::Server { address, source }.into(),
    }
}

fn address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(POSTGRES_PORT);
    let hosts: Vec<_> = hosts.map(|host| format!("{host}:{port}")).collect();
    hosts.join(", ")
}
