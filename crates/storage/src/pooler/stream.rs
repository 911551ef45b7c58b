//! The stream below the driver.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use harkara_settings::Pooler;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::PoolerLink;
use super::exchange::Exchange;
use super::startup::{Startup, Step};

/// Bytes that are read at a time.
const READ_BYTES: usize = 8 << 10;

/// Maximum bytes that are taken from the driver at a time, so that a large message is not copied whole.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A stream on which nothing outlives its transaction if a pooler is at the other end. If none is, everything
/// passes untouched and without a copy.
pub(crate) struct TransactionScoped<S> {
    inner: S,
    link: PoolerLink,
    stage: Stage,
    /// What has arrived and was not looked at.
    arrived: BytesMut,
    /// To be handed out before more is read.
    ready: BytesMut,
    /// To be sent before more is taken.
    unsent: BytesMut,
}

enum Stage {
    /// Until the connection is made; it may ask who answers.
    Startup(Startup),
    Direct,
    Pooled(Exchange),
}

impl<S> TransactionScoped<S> {
    pub(crate) fn new(inner: S, link: PoolerLink) -> Self {
        let stage = match link.pooler {
            Pooler::None => Stage::Direct,
            Pooler::Auto => Stage::Startup(Startup::asking()),
            Pooler::Transaction => Stage::Startup(Startup::knowing()),
        };
        Self {
            inner,
            link,
            stage,
            arrived: BytesMut::new(),
            ready: BytesMut::new(),
            unsent: BytesMut::new(),
        }
    }

    /// The stream below.
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    /// Moves what has arrived to `ready`, as far as it is for the driver.
    fn receive(&mut self) {
        if let Stage::Startup(startup) = &mut self.stage {
            let step = startup.receive(&mut self.arrived, &mut self.ready, &mut self.unsent);
            if let Step::Made { is_pooled } = step {
                self.link.found(is_pooled);
                self.stage = if is_pooled {
                    Stage::Pooled(Exchange::new(&self.link.settings))
                } else {
                    Stage::Direct
                };
            }
        }
        match &mut self.stage {
            Stage::Startup(_) => {}
            Stage::Direct => self.ready.unsplit(std::mem::take(&mut self.arrived)),
            Stage::Pooled(exchange) => exchange.receive(&mut self.arrived, &mut self.ready),
        }
    }
}

impl<S: AsyncWrite + Unpin> TransactionScoped<S> {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent.has_remaining() {
            let sending = poll_write_buf(Pin::new(&mut self.inner), context, &mut self.unsent);
            if ready!(sending)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TransactionScoped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while this.ready.is_empty() {
            match this.stage {
                Stage::Direct => return Pin::new(&mut this.inner).poll_read(context, buffer),
                // Nobody else sends our question.
                Stage::Startup(_) if !this.unsent.is_empty() => {
                    ready!(this.poll_send(context))?;
                    ready!(Pin::new(&mut this.inner).poll_flush(context))?;
                }
                Stage::Startup(_) | Stage::Pooled(_) => {}
            }
            this.arrived.reserve(READ_BYTES);
            let reading = poll_read_buf(Pin::new(&mut this.inner), context, &mut this.arrived);
            if ready!(reading)? == 0 {
                // The end of the stream. What has arrived never becomes whole.
                if let Stage::Startup(startup) = &mut this.stage {
                    this.ready.unsplit(startup.refusal());
                }
                this.ready.unsplit(this.arrived.split());
                break;
            }
            this.receive();
        }
        let handed_out = this.ready.len().min(buffer.remaining());
        buffer.put_slice(&this.ready[..handed_out]);
        this.ready.advance(handed_out);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TransactionScoped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        let Stage::Pooled(exchange) = &mut this.stage else {
            return Pin::new(&mut this.inner).poll_write(context, buffer);
        };
        let taken = &buffer[..buffer.len().min(WRITE_BYTES_MAX)];
        exchange.send(taken, &mut this.unsent);
        // What is not sent now is sent by the flush that follows.
        if let Poll::Ready(Err(error)) = this.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_write_vectored() {
            return Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, buffers);
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        self.poll_write(context, first.map_or(&[], |buffer| &**buffer))
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.stage, Stage::Direct) && self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}
