//! Where the primary is, asked of Redis Sentinel for every new connection.

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

/// How long a sentinel may take to answer, the connection to it included. They answer from memory; the
/// rest of `redis.connect_timeout_ms` is for the primary itself.
const ANSWER_BOUND: Duration = Duration::from_millis(500);

/// Sentinels, as what resolves the address of each new connection, whatever host its URL names.
///
/// All are asked at once and the first that knows the primary is believed, so that one that is away costs
/// nothing. What a sentinel tells may be out of date: then the connection fails, or the former primary
/// refuses to write, and the next connection asks anew.
pub(crate) struct Sentinels {
    primary: String,
    clients: Vec<Client>,
}

/// What one sentinel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelState {
    /// Its `host:port`.
    pub address: String,
    /// Where the primary is, or why it does not tell.
    pub primary: Result<SocketAddr, String>,
}

/// Asks every sentinel where the primary is; none where there are none. Each has the bound of a
/// connection's own question, and all are asked at once.
pub async fn inspect_sentinels(settings: &RedisSettings) -> Vec<SentinelState> {
    let Some(sentinels) = &settings.sentinels else {
        return Vec::new();
    };
    let server = crate::connect::connection_info(settings, ProtocolVersion::RESP2);
    let asked = Sentinels::new(sentinels, &server);
    let asking = asked.clients.iter().map(async |client| {
        let told = asked.ask(client).await;
        let primary = match told {
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

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
enum NoPrimary {
    #[error("the sentinel at {0} knows no primary by the name {1} (redis.sentinel_primary)")]
    Unknown(String, String),
    #[error("no sentinel tells where the primary is; the last says")]
    NotTold(#[source] redis::RedisError),
}

impl Sentinels {
    /// The sentinels of the settings. `server` is how the primary is connected to: over TLS or not, and
    /// trusting whom, which holds for the sentinels as well.
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
            // As an error of input and output, like that of a name that cannot be resolved.
            Err(error) => Err(io::Error::other(NoPrimary::NotTold(error)).into()),
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
            let told: Option<(String, u16)> = redis::cmd("SENTINEL")
                .arg("get-master-addr-by-name")
                .arg(&self.primary)
                .query_async(&mut connection)
                .await?;
            let Some((host, port)) = told else {
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
