//! A stream of PostgreSQL's messages in which each error's text ends with its code.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::{AFTER_CODE, BEFORE_CODE};
use crate::wire::{HEADER_BYTES, message_bytes};

/// The type of an error response, the first byte of the message.
const ERROR_RESPONSE: u8 = b'E';

/// The fields of an error response: the code, and the text.
const CODE: u8 = b'C';
const MESSAGE: u8 = b'M';

/// Longest error response that is held back until it is whole; a longer one passes as it is. PostgreSQL's are
/// a few hundred bytes, and quote at most a value of ours.
const ERROR_BYTES_MAX: usize = 4 << 20;

/// The stream below, with the code of each error appended to its text. Other messages pass untouched and
/// without a copy; of each only the header is looked at.
pub(crate) struct CodedErrors<S> {
    inner: S,
    channel_binding: fn(&S) -> ChannelBinding,
    position: Position,
    /// An error response that has not arrived whole, and what came after it.
    held: BytesMut,
    /// To be handed out before more is read.
    ready: BytesMut,
}

impl<S> CodedErrors<S> {
    pub(crate) fn new(inner: S, channel_binding: fn(&S) -> ChannelBinding) -> Self {
        Self {
            inner,
            channel_binding,
            position: Position::default(),
            held: BytesMut::new(),
            ready: BytesMut::new(),
        }
    }

    /// Moves everything out of `held` that can be handed out.
    fn release(&mut self) {
        while !self.held.is_empty() {
            match message_bytes(&self.held) {
                None => return,
                Some(whole) if whole > ERROR_BYTES_MAX => {
                    self.position = Position::before_message_of(whole);
                }
                Some(whole) if whole > self.held.len() => return,
                Some(whole) => with_code(&self.held.split_to(whole), &mut self.ready),
            }
            let passed = self.position.pass(&self.held);
            self.ready.extend_from_slice(&self.held.split_to(passed));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CodedErrors<S> {
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
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
            let arrived = &buffer.filled()[before..];
            if arrived.is_empty() {
                // The end of the stream. What is held never becomes whole.
                std::mem::swap(&mut this.ready, &mut this.held);
                break;
            }
            let passed = if this.held.is_empty() {
                this.position.pass(arrived)
            } else {
                0
            };
            if passed == arrived.len() {
                return Poll::Ready(Ok(()));
            }
            this.held.extend_from_slice(&arrived[passed..]);
            buffer.set_filled(before + passed);
            this.release();
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let handed_out = this.ready.len().min(buffer.remaining());
        buffer.put_slice(&this.ready[..handed_out]);
        this.ready.advance(handed_out);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CodedErrors<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for CodedErrors<S> {
    fn channel_binding(&self) -> ChannelBinding {
        (self.channel_binding)(&self.inner)
    }
}

/// Where the bytes that passed have ended: within a header, or within the rest of a message.
#[derive(Debug, Default, PartialEq)]
struct Position {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    rest_bytes: usize,
}

impl Position {
    /// Before a message of this size, whatever its type.
    fn before_message_of(bytes: usize) -> Self {
        Self {
            rest_bytes: bytes,
            ..Self::default()
        }
    }

    /// Moves on over the bytes before the next error response, and returns their number.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.rest_bytes > 0 {
                let within = self.rest_bytes.min(bytes.len() - at);
                self.rest_bytes -= within;
                at += within;
                continue;
            }
            if self.header_bytes == 0 && byte == ERROR_RESPONSE {
                break;
            }
            self.header[self.header_bytes] = byte;
            self.header_bytes += 1;
            at += 1;
            if let Some(whole) = message_bytes(&self.header[..self.header_bytes]) {
                *self = Self::before_message_of(whole - HEADER_BYTES);
            }
        }
        at
    }
}

/// Appends an error response to `out`, its text followed by its code. One without code or text is unchanged.
fn with_code(message: &[u8], out: &mut BytesMut) {
    let Some((text_end, code)) = text_end_and_code(message) else {
        out.extend_from_slice(message);
        return;
    };
    let added = BEFORE_CODE.len() + code.len() + AFTER_CODE.len();
    let Ok(length) = u32::try_from(message.len() - 1 + added) else {
        out.extend_from_slice(message);
        return;
    };
    out.reserve(message.len() + added);
    out.extend_from_slice(&message[..1]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&message[HEADER_BYTES..text_end]);
    for part in [BEFORE_CODE.as_bytes(), code, AFTER_CODE.as_bytes()] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&message[text_end..]);
}

/// Where an error's text ends, and its code. The fields follow the header, each a byte for its type and a text
/// that ends with a zero byte.
fn text_end_and_code(message: &[u8]) -> Option<(usize, &[u8])> {
    let (mut text_end, mut code) = (None, None);
    let mut at = HEADER_BYTES;
    while let Some(&field) = message.get(at)
        && field != 0
    {
        let value = &message[at + 1..];
        let length = value.iter().position(|byte| *byte == 0)?;
        match field {
            CODE => code = Some(&value[..length]),
            MESSAGE => text_end = Some(at + 1 + length),
            _ => {}
        }
        at += 1 + length + 1;
    }
    Some((text_end?, code?))
}

#[cfg(test)]
mod tests;
