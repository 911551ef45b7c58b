//! Gives the server no more bytes than it should hold.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

use super::connection::Connection;
use super::head_ends::HeadEnds;
use super::intake::Allowance;

/// What is read at once of further requests while one is in progress.
const HELD_AT_ONCE_BYTES: usize = 256;

/// What a client is told whose head is too large; the server cannot say it, as it knows no such bound.
const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    content-type: application/json\r\ncontent-length: 29\r\nconnection: close\r\n\r\n\
    {\"error\":\"headers_too_large\"}";

/// What a client sends, decrypted if there is TLS: one record of TLS may hold hundreds of requests.
///
/// It gives no bytes while the client does not take its answers: whoever does not read is not read. Otherwise it
/// gives one request at a time, in the steps that [`Allowance`] permits.
pub(crate) struct BoundedStream<S> {
    stream: Take<S>,
    connection: Arc<Connection>,
    heads: HeadEnds,
    /// What was read of further requests, at most a step.
    held: BytesMut,
    /// The operation that found the socket full, until it no longer does.
    blocked: Option<Operation>,
    /// A read was put off until the socket takes bytes.
    is_read_put_off: bool,
}

/// What found the socket full. TLS writes into a buffer, so that only a flush tells; plain TCP has nothing to flush,
/// so that only a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Write,
    Flush,
    Shutdown,
}

impl<S: AsyncRead + AsyncWrite + Unpin> BoundedStream<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream: stream.take(0),
            connection,
            heads: HeadEnds::default(),
            held: BytesMut::new(),
            blocked: None,
            is_read_put_off: false,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn inner(&mut self) -> Pin<&mut S> {
        Pin::new(self.stream.get_mut())
    }

    /// Gives at most so many bytes: of those that are held, or else of what the client sends.
    fn give(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bytes: usize,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.held.is_empty() {
            self.stream.set_limit(bytes as u64);
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let bytes = bytes.min(self.held.len()).min(buffer.remaining());
            buffer.put_slice(&self.held.split_to(bytes));
        }
        self.connection.was_given(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// The same for a head, and what follows it up to the next.
    fn give_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bytes: usize,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.give(context, buffer, bytes);
        if read.is_pending() {
            self.connection.ran_dry();
            self.heads.end_step();
        }
        ready!(read)?;
        let read = &buffer.filled()[before..];
        let n_given = self.heads.up_to_second(read);
        if n_given == read.len() {
            return Poll::Ready(Ok(()));
        }
        let behind = self.held.split();
        self.held.extend_from_slice(&read[n_given..]);
        self.held.unsplit(behind);
        buffer.set_filled(before + n_given);
        self.heads.end_step();
        if n_given > 0 {
            self.connection.intake().end_step();
            return Poll::Ready(Ok(()));
        }
        // Nothing would be the end of the connection.
        self.connection.intake().handle_first(context);
        Poll::Pending
    }

    /// Holds what the client sends before its request in progress ends.
    fn hold(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let mut bytes = [0; HELD_AT_ONCE_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            self.stream.set_limit(HELD_AT_ONCE_BYTES as u64);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.held.extend_from_slice(buffer.filled());
        }
        self.connection.intake().wait(context);
        Poll::Pending
    }

    /// Notes whether the socket takes bytes.
    fn noting<T>(
        &mut self,
        operation: Operation,
        context: &Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_pending() {
            if self.blocked.is_none() {
                self.blocked = Some(operation);
                self.connection.is_blocked(true);
            }
        } else if self.blocked == Some(operation) {
            self.blocked = None;
            self.connection.is_blocked(false);
            if std::mem::take(&mut self.is_read_put_off) {
                context.waker().wake_by_ref();
            }
        }
        done
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.blocked.is_some() {
            self.is_read_put_off = true;
            return Poll::Pending;
        }
        match self.connection.allowance(context) {
            Allowance::Head(bytes) => self.give_head(context, buffer, bytes),
            Allowance::Body(bytes) => self.give(context, buffer, bytes),
            Allowance::Discarded(bytes) => {
                self.held.clear();
                self.give(context, buffer, bytes)
            }
            Allowance::NextRequest => self.hold(context),
            Allowance::Later => {
                self.heads.end_step();
                Poll::Pending
            }
            Allowance::HeadTooLarge => {
                self.connection.refuses_head();
                // If it cannot be sent immediately, the client goes without.
                let _is_sent = self.inner().poll_write(context, HEAD_TOO_LARGE);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write(context, bytes);
        self.noting(Operation::Write, context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write_vectored(context, slices);
        self.noting(Operation::Write, context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner().poll_flush(context);
        self.noting(Operation::Flush, context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = self.inner().poll_shutdown(context);
        self.noting(Operation::Shutdown, context, shut_down)
    }
}
