//! Reads a request's body, bounded in size and time.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

/// Why there is no body to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It is, or says that it will be, larger than the limit.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The client went away or broke the protocol.
    Incomplete,
}

/// The whole body. What it declares to be too large is not read at all.
pub(crate) async fn read(
    payload: &mut Payload,
    declared_bytes: Option<u64>,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, NoBody> {
    if declared_bytes.is_some_and(|declared| declared > bytes_max as u64) {
        return Err(NoBody::TooLarge);
    }
    let mut read = pin!(read_all(payload, bytes_max));
    // Mostly the whole body came with the head. Then no timer is needed.
    let ready = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
    if let Poll::Ready(body) = ready {
        return body;
    }
    let read = tokio::time::timeout(timeout, read);
    read.await.unwrap_or(Err(NoBody::TooSlow))
}

async fn read_all(payload: &mut Payload, bytes_max: usize) -> Result<Bytes, NoBody> {
    let first = next(payload).await?.unwrap_or_default();
    let Some(second) = next(payload).await? else {
        return if first.len() > bytes_max {
            Err(NoBody::TooLarge)
        } else {
            Ok(first)
        };
    };
    // Grows with what has come, not with what was declared: a client cannot reserve memory by
    // promising a large body.
    let mut body = BytesMut::from(first);
    let mut more = Some(second);
    while let Some(chunk) = more {
        if body.len() + chunk.len() > bytes_max {
            return Err(NoBody::TooLarge);
        }
        body.extend_from_slice(&chunk);
        more = next(payload).await?;
    }
    Ok(body.freeze())
}

async fn next(payload: &mut Payload) -> Result<Option<Bytes>, NoBody> {
    poll_fn(|context| Pin::new(&mut *payload).poll_next(context))
        .await
        .transpose()
        .map_err(|_| NoBody::Incomplete)
}
