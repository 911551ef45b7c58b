//! From a new TCP connection to the byte stream that the server reads.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use harkara_tls::ServerConfig;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::UNREAD_MAX;
use super::bounded_stream::BoundedStream;
use super::handshake_stream::HandshakeStream;
use super::open_connections::OpenConnections;

/// Connections that wait to be accepted; the system may permit fewer.
const BACKLOG: u32 = 4096;

/// What the system may buffer of what a client sends, in bytes; the system doubles it.
const RECEIVE_BUFFER_BYTES: u32 = 131_072;

/// What the system may buffer of answers that a client does not read, in bytes; the system doubles it.
const SEND_BUFFER_BYTES: u32 = 16_384;

/// [`UNREAD_MAX`] in milliseconds, for Linux. Other systems have no such option.
#[cfg(target_os = "linux")]
const UNREAD_MAX_MS: u32 = 5_000;
const _: () = assert!(UNREAD_MAX.as_millis() == 5_000);

/// The only protocol that is offered to TLS clients.
const HTTP_1_1: &[u8] = b"http/1.1";

/// A client's bytes, plain or within TLS.
pub(crate) type ClientStream = BoundedStream<Either<TcpStream, TlsStream<HandshakeStream>>>;

/// The connection was not admitted, or ended with an error; there is nobody to tell.
#[derive(Debug)]
pub(crate) struct NotServed;

/// Accepts connections: admission, then TLS.
#[derive(Clone)]
pub(crate) struct Acceptor {
    open: OpenConnections,
    tls: Option<TlsAcceptor>,
    handshake_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(
        open: OpenConnections,
        tls: Option<ServerConfig>,
        handshake_timeout: Duration,
    ) -> Self {
        Self {
            open,
            tls: tls.map(|mut config| {
                config.alpn_protocols = vec![HTTP_1_1.to_vec()];
                Arc::new(config).into()
            }),
            handshake_timeout,
        }
    }

    /// The client's bytes and address.
    pub(crate) async fn accept(
        self,
        stream: TcpStream,
    ) -> Result<(ClientStream, Option<SocketAddr>), NotServed> {
        let connection = self.open.admit(&stream).ok_or(NotServed)?;
        let peer = stream.peer_addr().ok();
        stream.set_nodelay(true).map_err(|_| NotServed)?;
        let stream = match self.tls {
            None => Either::Left(stream),
            Some(tls) => {
                let handshake = tls.accept(HandshakeStream::new(stream));
                match timeout(self.handshake_timeout, handshake).await {
                    Ok(Ok(mut stream)) => {
                        stream.get_mut().0.ends();
                        connection.handshake_ends();
                        Either::Right(stream)
                    }
                    Ok(Err(_)) | Err(_) => return Err(NotServed),
                }
            }
        };
        Ok((BoundedStream::new(stream, connection), peer))
    }
}

/// Listens at the address. Connections inherit the bounds of the system's buffers, which would otherwise grow
/// to megabytes for each, and of the time for which the system keeps what a client does not take, also after the
/// server has closed the connection.
pub(crate) fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&socket, UNREAD_MAX_MS)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use rustix::net::sockopt;

    use super::{RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES, UNREAD_MAX_MS, listener};

    #[tokio::test]
    async fn a_connection_inherits_the_bounds_of_the_listener() {
        let listener = listener((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let receive_bytes = sockopt::socket_recv_buffer_size(&accepted).unwrap();
        assert_eq!(receive_bytes, 2 * RECEIVE_BUFFER_BYTES as usize);
        let send_bytes = sockopt::socket_send_buffer_size(&accepted).unwrap();
        assert_eq!(send_bytes, 2 * SEND_BUFFER_BYTES as usize);
        assert_eq!(sockopt::tcp_user_timeout(&accepted).unwrap(), UNREAD_MAX_MS);
    }
}
