//! Connections to Redis, one kind for each use.

use harkara_tls::ClientTls;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates,
};

use crate::sentinel::Sentinels;
use harkara_settings::RedisSettings;

const CHECKED: &str = "URL and certificates were checked with the settings";

/// A connection with unacknowledged data for this many response timeouts is dead and is closed. (By default
/// TCP would keep a silently dropped connection for a quarter of an hour.)
#[cfg(target_os = "linux")]
const RESPONSE_TIMEOUTS_PER_DEAD_CONNECTION: u32 = 2;

/// Opens a connection.
pub(crate) async fn connect(settings: &RedisSettings) -> RedisResult<MultiplexedConnection> {
    client(settings, ProtocolVersion::RESP2)
        .get_multiplexed_async_connection_with_config(&connection_config(settings))
        .await
}

/// The same without user and password.
pub(crate) async fn connect_as_nobody(
    settings: &RedisSettings,
) -> RedisResult<MultiplexedConnection> {
    let info = connection_info(settings, ProtocolVersion::RESP2);
    // Without the number of the database too: a refused SELECT hides that it was the login.
    Client::open(info.set_redis_settings(RedisConnectionInfo::default()))?
        .get_multiplexed_async_connection_with_config(&connection_config(settings))
        .await
}

/// The server's address for messages: `host:port`, or the primary's name and its sentinels. Contains no
/// password.
#[must_use]
pub fn address(settings: &RedisSettings) -> String {
    if let Some(sentinels) = &settings.sentinels {
        return sentinels.to_string();
    }
    match connection_info(settings, ProtocolVersion::RESP2).addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            format!("{host}:{port}")
        }
        other => other.to_string(),
    }
}

pub(crate) fn connection_config(settings: &RedisSettings) -> AsyncConnectionConfig {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        .set_response_timeout(Some(settings.response_timeout));
    match &settings.sentinels {
        None => config,
        Some(sentinels) => {
            let server = connection_info(settings, ProtocolVersion::RESP2);
            config.set_dns_resolver(Sentinels::new(sentinels, &server))
        }
    }
}

pub(crate) fn client(settings: &RedisSettings, protocol: ProtocolVersion) -> Client {
    Client::open(connection_info(settings, protocol)).expect(CHECKED)
}

pub(crate) fn connection_info(
    settings: &RedisSettings,
    protocol: ProtocolVersion,
) -> ConnectionInfo {
    let info = settings
        .url
        .current()
        .expose()
        .into_connection_info()
        .expect(CHECKED);
    let redis = info.redis_settings().clone().set_protocol(protocol);
    let info = info
        .set_redis_settings(redis)
        .set_tcp_settings(tcp_settings(settings));
    match &settings.tls {
        None => info,
        Some(tls) => with_tls(info, tls),
    }
}

pub(crate) fn tcp_settings(settings: &RedisSettings) -> TcpSettings {
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp =
        tcp.set_user_timeout(settings.response_timeout * RESPONSE_TIMEOUTS_PER_DEAD_CONNECTION);
    tcp
}

fn with_tls(info: ConnectionInfo, tls: &ClientTls) -> ConnectionInfo {
    let certificates = TlsCertificates {
        client_tls: tls.identity().map(|(chain, key)| ClientTlsConfig {
            client_cert: chain.pem().to_vec(),
            client_key: key.pem().to_vec(),
        }),
        // Without any, the library trusts its built-in public ones, as we do.
        root_cert: tls
            .authorities()
            .map(|authorities| authorities.pem().to_vec()),
    };
    Client::build_with_tls(info, certificates)
        .expect(CHECKED)
        .get_connection_info()
        .clone()
}
