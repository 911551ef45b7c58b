//! One new connection to PostgreSQL.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use harkara_core::secret::Secret;
use harkara_settings::{Pooler, ServerUrl};
use harkara_tls::{ClientTls, Refusal};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use crate::pooler::PoolerLink;
use crate::session_settings::SessionSettings;
use crate::sqlstate::{Layered, Plain, plain};
use crate::{ConnectError, PoolSettings, StorageError};

/// A connection that is silent for this long is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Data that stays unacknowledged for this long means a dead connection. (Without it a silently
/// dropped connection would look alive for a quarter of an hour.)
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// The port where a URL names none.
const POSTGRES_PORT: u16 = 5432;

/// A connection whose errors carry their SQLSTATE.
pub(crate) struct Session {
    connection: AsyncPgConnection,
    /// Whether it goes through a pooler.
    pub(crate) is_pooled: bool,
    /// The task that drives the connection, if diesel does not.
    _driver: Option<AbortOnDropHandle<()>>,
}

/// A server, and how to connect to it.
pub(crate) struct Target {
    url: ServerUrl,
    tls: Option<ClientTls>,
    application: &'static str,
    connect_timeout: Duration,
    /// What a session through a pooler sets for each transaction.
    transaction_settings: Arc<str>,
}

impl Target {
    pub(crate) fn new(settings: &PoolSettings, session: &SessionSettings) -> Self {
        Self {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            application: settings.application,
            connect_timeout: settings.connect_timeout,
            transaction_settings: session.for_transaction().into(),
        }
    }

    /// Connects, verifying the server by the TLS of the settings; without it, the connection is plain, and a URL
    /// that asks for TLS is refused.
    pub(crate) async fn connect(&self, pooler: Pooler) -> Result<Session, StorageError> {
        self.connect_with(pooler, self.config()?).await
    }

    /// Whether the server lets somebody in who has no password.
    pub(crate) async fn admits_anybody(&self) -> Result<bool, StorageError> {
        let mut config = self.config()?;
        config.password("");
        let connecting = self.connect_with(Pooler::None, config);
        let connected = timeout(self.connect_timeout, connecting).await;
        match connected.map_err(|_| ConnectError::TimedOut)? {
            Ok(_) => Ok(true),
            Err(error) if error.is_refused_login() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn config(&self) -> Result<Config, ConnectError> {
        let mut config = parsed(&self.url.current())?;
        config
            .application_name(self.application)
            .keepalives_idle(KEEPALIVE_IDLE)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX);
        choose_among_hosts(&mut config, self.connect_timeout);
        Ok(config)
    }

    async fn connect_with(&self, pooler: Pooler, config: Config) -> Result<Session, StorageError> {
        let link = PoolerLink::new(pooler, &self.transaction_settings);
        let mut session = connect(config, self.tls.as_ref(), &link).await?;
        session.is_pooled = link.is_pooled();
        Ok(session)
    }
}

impl Deref for Session {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }
}

async fn connect(
    mut config: Config,
    tls: Option<&ClientTls>,
    link: &PoolerLink,
) -> Result<Session, StorageError> {
    let failed = |config: &Config, source| not_connected(address_of(config), source);
    let connection = match (tls, config.get_hosts()) {
        (Some(tls), _) => {
            config.ssl_mode(SslMode::Require);
            let tls = Layered {
                tls: MakeRustlsConnect::new(tls.config().clone()),
                link: link.clone(),
            };
            let connecting = config.connect(tls).await;
            let (client, connection) = connecting.map_err(|error| failed(&config, error))?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
        (None, _) if config.get_ssl_mode() == SslMode::Require => {
            return Err(ConnectError::TlsNotSetUp.into());
        }
        (None, [Host::Unix(folder), ..]) => return over_socket(&config, folder, link).await,
        (None, _) => {
            config
                .ssl_mode(SslMode::Require)
                .ssl_negotiation(SslNegotiation::Direct);
            let connecting = config.connect(Plain(link.clone())).await;
            let (client, connection) = connecting.map_err(|error| failed(&config, error))?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
    };
    Ok(Session {
        connection: connection.map_err(ConnectError::Session)?,
        is_pooled: false,
        _driver: None,
    })
}

/// Connects over the Unix socket in a folder, for which the driver takes no connector.
async fn over_socket(
    config: &Config,
    folder: &Path,
    link: &PoolerLink,
) -> Result<Session, StorageError> {
    let path = folder.join(format!(".s.PGSQL.{}", port(config)));
    let socket = UnixStream::connect(&path).await;
    let socket = socket.map_err(|source| ConnectError::Socket {
        path: path.display().to_string(),
        source,
    })?;
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    let connecting = config.connect_raw(plain(socket, link), NoTls).await;
    let (client, connection) =
        connecting.map_err(|error| not_connected(address_of(&config), error))?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "PostgreSQL closed a connection.");
        }
    });
    let connection = AsyncPgConnection::try_from(client).await;
    Ok(Session {
        connection: connection.map_err(ConnectError::Session)?,
        is_pooled: false,
        _driver: Some(AbortOnDropHandle::new(driver)),
    })
}

/// Of several hosts, takes the first one that can be written to: others may be standbys. The bound is divided among
/// them, so that a host that is gone leaves time for the next one.
fn choose_among_hosts(config: &mut Config, bound: Duration) {
    let hosts = config.get_hosts().len();
    if let Ok(hosts @ 2..) = u32::try_from(hosts) {
        let each = bound / hosts;
        let of_url = config.get_connect_timeout().copied();
        config
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(of_url.map_or(each, |it| it.min(each)));
    }
}

fn not_connected(address: String, source: tokio_postgres::Error) -> StorageError {
    match Refusal::within(&source) {
        Some(refusal) => StorageError::Untrusted { address, refusal },
        None => ConnectError::Server { address, source }.into(),
    }
}

/// The hosts and ports of a URL as the driver reads them, without user and password.
#[must_use]
pub fn address(url: &ServerUrl) -> String {
    parsed(&url.current()).map_or_else(|error| error.to_string(), |config| address_of(&config))
}

/// What the driver reads in a URL, with a host for each address.
fn parsed(url: &Secret) -> Result<Config, ConnectError> {
    let config = url.expose().parse::<Config>();
    let mut config = config.map_err(|_| ConnectError::InvalidUrl)?;
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    Ok(config)
}

fn port(config: &Config) -> u16 {
    config.get_ports().first().copied().unwrap_or(POSTGRES_PORT)
}

fn address_of(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).copied().unwrap_or_else(|| port(config));
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    hosts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Secret, address};

    #[test]
    fn an_address_has_no_user_and_no_password() {
        for (url, expected) in [
            (
                "postgres://u:p@db.internal:6432/harkara?connect_timeout=3",
                "db.internal:6432",
            ),
            ("postgres://u:p%40@db", "db:5432"),
            ("postgresql://[::1]:5433/x", "[::1]:5433"),
            ("postgres://u:p@one:1,two/x", "one:1, two:5432"),
            ("postgres:///x?host=/run/postgresql", "/run/postgresql:5432"),
            ("postgres:///x?hostaddr=127.0.0.1", "127.0.0.1:5432"),
            ("postgres://u:p@h:port", "postgres.url is not a valid URL"),
        ] {
            assert_eq!(address(&Secret::new(url).into()), expected);
        }
    }
}
