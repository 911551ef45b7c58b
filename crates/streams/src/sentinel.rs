//! Asks Redis Sentinel for the primary's address before every new connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, select_ok};
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisFuture,
    RedisResult,
};

use harkara_core::causes::with_causes;
use harkara_settings::{RedisSettings, SentinelSettings};

/// How long a sentinel may take to answer, connecting included. Sentinels answer from memory; the rest of
/// `redis.connect_timeout_ms` is for the primary itself.
const ANSWER_BOUND: Duration = Duration::from_millis(500);

/// Resolves the address of each new connection through the sentinels, whatever host its URL names.
///
/// All are asked in parallel and the first answer counts, so that an unreachable one costs nothing. An answer
/// may be out of date: then the connection fails, or the former primary refuses writes, and the next
/// connection asks again.
pub(crate) struct Sentinels {
    primary: String,
    clients: Vec<Client>,
}

/// One sentinel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelState {
    /// Its `host:port`.
    pub address: String,
    /// The primary's address, or why there is none.
    pub primary: Result<SocketAddr, String>,
}

/// Asks every configured sentinel for the primary, in parallel, with the timeout of a connection attempt.
pub async fn inspect_sentinels(settings: &RedisSettings) -> Vec<SentinelState> {
    let Some(sentinels) = &settings.sentinels else {
        return Vec::new();
    };
    let server = crate::connect::connection_info(settings, ProtocolVersion::RESP2);
    let asked = Sentinels::new(sentinels, &server);
    let asking = asked.clients.iter().map(async |client| {
        let primary = match asked.ask(client).await {
            Ok(addresses) => addresses
                .first()
                .copied()
                .ok_or_else(|| "its host has no address".to_owned()),
            Err(error) => Err(with_causes(&error)),
        };
        SentinelState {
            address: client.get_connection_info().addr().to_string(),
            primary,
        }
    });
    join_all(asking).await
}

/// Why the primary's address is unknown.
#[derive(Debug, thiserror::Error)]
enum NoPrimary {
    #[error("the sentinel at {0} knows no primary by the name {1} (redis.sentinel_primary)")]
    Unknown(String, String),
    #[error("no sentinel knows the primary; the last error")]
    NoAnswer(#[source] redis::RedisError),
}

impl Sentinels {
    /// The sentinels of the settings. They are connected to like `server`, the primary: with or without TLS,
    /// and trusting the same authorities.
    pub(super) fn new(settings: &SentinelSettings, server: &ConnectionInfo) -> Self {
        let client = |(host, port): &(String, u16)| {
            let addr = match server.addr() {
                ConnectionAddr::TcpTls { tls_params, .. } => ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: false,
                    tls_params: tls_params.clone(),
                },
                _ => ConnectionAddr::Tcp(host.clone(), *port),
            };
            let redis = redis::RedisConnectionInfo::default();
            let redis = match &settings.password {
                Some(password) => redis.set_password(password.expose()),
                None => redis,
            };
            let info = server.clone().set_addr(addr).set_redis_settings(redis);
            Client::open(info).expect("the address was checked with the settings")
        };
        Self {
            primary: settings.primary.clone(),
            clients: settings.addresses.iter().map(client).collect(),
        }
    }

    async fn primary(&self) -> RedisResult<Vec<SocketAddr>> {
        let asking = self.clients.iter().map(|client| self.ask(client).boxed());
        match select_ok(asking).await {
            Ok((addresses, _others)) => Ok(addresses),
            // An I/O error, as for a name that cannot be resolved.
            Err(error) => Err(io::Error::other(NoPrimary::NoAnswer(error)).into()),
        }
    }

    async fn ask(&self, client: &Client) -> RedisResult<Vec<SocketAddr>> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_BOUND))
            .set_response_timeout(Some(ANSWER_BOUND));
        let asking = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let primary: Option<(String, u16)> = redis::cmd("SENTINEL")
                .arg("get-master-addr-by-name")
                .arg(&self.primary)
                .query_async(&mut connection)
                .await?;
            let Some((host, port)) = primary else {
                let sentinel = client.get_connection_info().addr().to_string();
                let unknown = NoPrimary::Unknown(sentinel, self.primary.clone());
                return Err(io::Error::other(unknown).into());
            };
            // An address, or a name where Sentinel has `announce-hostnames yes`.
            Ok(tokio::net::lookup_host((host, port)).await?.collect())
        };
        let answered = tokio::time::timeout(ANSWER_BOUND, asking).await;
        answered.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}

impl AsyncDNSResolver for Sentinels {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        _port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        async {
            let addresses = self.primary().await?.into_iter();
            Ok(Box::new(addresses) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        }
        .boxed()
    }
}
