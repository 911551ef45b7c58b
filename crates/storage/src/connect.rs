//! One new connection to PostgreSQL, and why there is none.

use std::time::Duration;

use diesel_async::AsyncPgConnection;
use harkara_tls::{ClientTls, Refusal};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StorageError;

/// A connection that is silent for this long is asked for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Data that stays unacknowledged for this long means a dead connection. (Without it a silently
/// dropped connection would look alive for a quarter of an hour.)
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// With what the reason begins when the server answers and TLS with it fails. The pool passes on a reason as
/// text and nothing else.
const UNTRUSTED: &str = "PostgreSQL at ";

/// Connects, verifying the server by `tls`; without it, the connection is plain, and a URL that asks for TLS
/// is refused. The error names the address and every cause, which diesel's own would leave out.
pub(crate) async fn connect(
    url: &str,
    tls: Option<&ClientTls>,
) -> Result<AsyncPgConnection, String> {
    // The parser's message could quote the URL, and with it the password.
    let mut config: Config = url
        .parse()
        .map_err(|_| "postgres.url is not a valid URL".to_owned())?;
    config
        .keepalives_idle(KEEPALIVE_IDLE)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    if tls.is_some() {
        config.ssl_mode(SslMode::Require);
    }
    let failed = |error| reason(&config, &error);
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
    connection.map_err(|error| format!("{}: {error}", address(&config)))
}

/// The error of a connection that [`connect`] gave this reason not to be.
pub(crate) fn not_connected(reason: String) -> StorageError {
    if reason.starts_with(UNTRUSTED) {
        StorageError::Untrusted(reason)
    } else {
        StorageError::Connect(reason)
    }
}

fn reason(config: &Config, error: &tokio_postgres::Error) -> String {
    let address = address(config);
    match Refusal::within(error) {
        Some(refusal) => format!("{UNTRUSTED}{address}: {}", refusal.remedy("postgres")),
        None => format!("{address}: {}", causes(error)),
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

/// The port where a URL names none.
const POSTGRES_PORT: u16 = 5432;

fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}
