//! Gives the server no more bytes than it should hold.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

use super::connection::{Allowance, Connection};

/// What a client is told whose head is too large; the server cannot say it, as it knows no such bound.
const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    content-type: application/json\r\ncontent-length: 29\r\nconnection: close\r\n\r\n\
    {\"error\":\"headers_too_large\"}";

/// What a client sends, decrypted if there is TLS: one record of TLS may hold hundreds of requests.
///
/// It gives no bytes while the client does not take its answers: whoever does not read is not read. It gives
/// them in steps, and during a request at most [`super::AHEAD_BYTES`] beyond what the request took.
pub(crate) struct BoundedStream<S> {
    stream: Take<S>,
    connection: Arc<Connection>,
    /// The last write found the socket full.
    is_blocked: bool,
    /// A read was put off until the socket takes bytes.
    is_read_put_off: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> BoundedStream<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream: stream.take(0),
            connection,
            is_blocked: false,
            is_read_put_off: false,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn inner(&mut self) -> Pin<&mut S> {
        Pin::new(self.stream.get_mut())
    }

    /// Notes whether the socket takes bytes.
    fn noting<T>(
        &mut self,
        context: &Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() != self.is_blocked {
            self.is_blocked = !self.is_blocked;
            self.connection.is_blocked(self.is_blocked);
            if !self.is_blocked && std::mem::take(&mut self.is_read_put_off) {
                context.waker().wake_by_ref();
            }
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_blocked {
            self.is_read_put_off = true;
            return Poll::Pending;
        }
        match self.connection.allowance(context) {
            Allowance::Bytes(bytes) => self.stream.set_limit(bytes as u64),
            Allowance::Later => return Poll::Pending,
            Allowance::HeadTooLarge => {
                self.connection.refuses_head();
                // If it cannot be sent immediately, the client goes without.
                let _is_sent = self.inner().poll_write(context, HEAD_TOO_LARGE);
                return Poll::Ready(Ok(()));
            }
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.connection.was_given(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write(context, bytes);
        self.noting(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write_vectored(context, slices);
        self.noting(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner().poll_flush(context);
        self.noting(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = self.inner().poll_shutdown(context);
        self.noting(context, shut_down)
    }
}
