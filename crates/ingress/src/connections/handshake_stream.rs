//! Bounds what a client sends for a TLS handshake.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

/// A client's bytes below TLS. Until the handshake ends it gives at most [`HANDSHAKE_BYTES_MAX`], which TLS
/// would otherwise gather up to 64 KiB of.
pub(crate) struct HandshakeStream(Take<TcpStream>);

/// Bytes of a handshake: a client hello with post-quantum key shares has about 2 KB.
const HANDSHAKE_BYTES_MAX: u64 = 16_384;

impl HandshakeStream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream.take(HANDSHAKE_BYTES_MAX))
    }

    /// Ends the handshake, and with it the bound.
    pub(super) fn ends(&mut self) {
        self.0.set_limit(u64::MAX);
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.0.get_mut())
    }
}

impl AsyncRead for HandshakeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.limit() == 0 {
            // Not the end: a request may follow the handshake at once, and TLS reads on until it has a whole record of
            // that. A handshake that needs more ends in time.
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for HandshakeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
