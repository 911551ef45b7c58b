//! A connection that bounds the bytes of a reply.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use harkara_settings::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::io::AsyncDNSResolver;
#[cfg(target_os = "linux")]
use redis::io::tcp::socket2;
use redis::{Cmd, ConnectionAddr, ErrorKind, ProtocolVersion, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::connect::{connection_config, connection_info, tcp_settings};
use crate::sentinel::Sentinels;

/// One connection. It fails for good once a reply exceeds its bound.
pub(crate) struct LimitedConnection {
    connection: MultiplexedConnection,
    limit: Arc<Limit>,
    driver: JoinHandle<()>,
}

/// How many bytes may still be received.
struct Limit {
    left: AtomicUsize,
    is_exceeded: AtomicBool,
}

impl LimitedConnection {
    /// Opens a connection for commands that block up to `block_max`, which is added to the response timeout.
    pub(crate) async fn open(settings: &RedisSettings, block_max: Duration) -> RedisResult<Self> {
        let limit = Arc::new(Limit {
            left: AtomicUsize::new(usize::MAX),
            is_exceeded: AtomicBool::new(false),
        });
        let opening = async {
            let info = connection_info(settings, ProtocolVersion::RESP2);
            let limited = Limited {
                socket: socket(settings, info.addr()).await?,
                limit: limit.clone(),
            };
            let config = connection_config(settings)
                .set_response_timeout(Some(settings.response_timeout + block_max));
            let (connection, driver) =
                MultiplexedConnection::new_with_config(info.redis_settings(), limited, config)
                    .await?;
            Ok::<_, RedisError>((connection, tokio::spawn(driver)))
        };
        let opened = tokio::time::timeout(settings.connect_timeout, opening).await;
        let (connection, driver) =
            opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self {
            connection,
            limit,
            driver,
        })
    }

    /// Sends a command and receives its reply, up to a number of bytes.
    pub(crate) async fn ask(
        &mut self,
        command: &Cmd,
        bytes_max: Option<usize>,
    ) -> RedisResult<Value> {
        let left = bytes_max.unwrap_or(usize::MAX);
        self.limit.left.store(left, Ordering::Relaxed);
        command.query_async(&mut self.connection).await
    }

    /// The connection, for commands whose replies have no bound.
    pub(crate) fn unlimited(&mut self) -> &mut MultiplexedConnection {
        self.limit.left.store(usize::MAX, Ordering::Relaxed);
        &mut self.connection
    }

    /// Whether a reply was larger than its bound.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.limit.is_exceeded.load(Ordering::Relaxed)
    }
}

impl Drop for LimitedConnection {
    fn drop(&mut self) {
        // It would wait for a reply that nobody waits for.
        self.driver.abort();
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

async fn socket(
    settings: &RedisSettings,
    address: &ConnectionAddr,
) -> RedisResult<Box<dyn Socket>> {
    match address {
        ConnectionAddr::Tcp(host, port) => Ok(Box::new(tcp(settings, host, *port).await?)),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let Some(tls) = &settings.tls else {
                return Err((ErrorKind::InvalidClientConfig, "TLS has no settings").into());
            };
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::new(tls.config().clone()));
            let tcp = tcp(settings, host, *port).await?;
            Ok(Box::new(connector.connect(name, tcp).await?))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        _ => Err((ErrorKind::InvalidClientConfig, "unknown kind of address").into()),
    }
}

async fn tcp(settings: &RedisSettings, host: &str, port: u16) -> RedisResult<TcpStream> {
    let addresses: Vec<SocketAddr> = match &settings.sentinels {
        None => tokio::net::lookup_host((host, port)).await?.collect(),
        Some(sentinels) => {
            let server = connection_info(settings, ProtocolVersion::RESP2);
            let sentinels = Sentinels::new(sentinels, &server);
            let addresses = sentinels.resolve(host, port).await?;
            addresses.collect()
        }
    };
    let tcp = TcpStream::connect(&addresses[..]).await?;
    let wanted = tcp_settings(settings);
    tcp.set_nodelay(wanted.nodelay())?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&tcp).set_tcp_user_timeout(wanted.user_timeout())?;
    Ok(tcp)
}

/// A socket that fails when more than the limit is received.
struct Limited {
    socket: Box<dyn Socket>,
    limit: Arc<Limit>,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let received = buffer.filled().len() - before;
        let left = self.limit.left.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(received) else {
            self.limit.is_exceeded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("the reply is too large")));
        };
        self.limit.left.store(left, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
