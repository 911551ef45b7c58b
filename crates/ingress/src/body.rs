//! Reads a request's body, bounded in size and time.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use bytes::Bytes;
use futures_core::Stream;

use crate::admission::buffered::Charge;
use crate::connections::InRequest;
use crate::outcome::Rejection;

/// Reads the whole body and charges the memory that it takes. A body that declares to be too large is not
/// read at all.
pub(crate) async fn read(
    payload: &mut Payload,
    in_request: &InRequest,
    declared_bytes: Option<u64>,
    bytes_max: usize,
    timeout: Duration,
    charge: &mut Charge<'_>,
) -> Result<Bytes, Rejection> {
    if declared_bytes.is_some_and(|declared| declared > bytes_max as u64) {
        return Err(Rejection::TooLarge);
    }
    let declared_bytes = declared_bytes.and_then(|declared| usize::try_from(declared).ok());
    if let Some(bytes) = declared_bytes {
        in_request.declares(bytes);
    }
    let bytes_max = declared_bytes.unwrap_or(bytes_max);
    let ends_at = declared_bytes.filter(|_| in_request.asks_for_upgrade());
    let mut read = pin!(read_all(payload, in_request, bytes_max, ends_at, charge));
    // Usually the whole body came with the head. Then no timer is needed.
    let ready = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
    if let Poll::Ready(body) = ready {
        return body;
    }
    let read = tokio::time::timeout(timeout, read);
    read.await.unwrap_or(Err(Rejection::Timeout))
}

/// Reads up to the end of the body, or for which it is not certain, up to `ends_at` bytes.
async fn read_all(
    payload: &mut Payload,
    in_request: &InRequest,
    bytes_max: usize,
    ends_at: Option<usize>,
    charge: &mut Charge<'_>,
) -> Result<Bytes, Rejection> {
    let first = next(payload, in_request).await?.unwrap_or_default();
    if first.len() > bytes_max {
        return Err(Rejection::TooLarge);
    }
    charge.grow_to(first.len())?;
    if ends_at.is_some_and(|end| first.len() >= end) {
        return Ok(first);
    }
    let Some(second) = next(payload, in_request).await? else {
        return Ok(first);
    };
    let mut body = Vec::new();
    append(&mut body, &first, bytes_max, charge)?;
    drop(first);
    let mut more = Some(second);
    while let Some(chunk) = more {
        append(&mut body, &chunk, bytes_max, charge)?;
        if ends_at.is_some_and(|end| body.len() >= end) {
            break;
        }
        more = next(payload, in_request).await?;
    }
    Ok(body.into())
}

/// Memory grows with the bytes received, not with those declared: a client cannot reserve memory by
/// announcing a large body. It doubles, so that a body in many pieces is not copied for each.
fn append(
    body: &mut Vec<u8>,
    chunk: &[u8],
    bytes_max: usize,
    charge: &mut Charge<'_>,
) -> Result<(), Rejection> {
    let bytes = body.len() + chunk.len();
    if bytes > bytes_max {
        return Err(Rejection::TooLarge);
    }
    if bytes > body.capacity() {
        let capacity = bytes.max(body.capacity() * 2).min(bytes_max);
        charge.grow_to(capacity)?;
        body.reserve_exact(capacity - body.len());
    }
    body.extend_from_slice(chunk);
    Ok(())
}

async fn next(payload: &mut Payload, in_request: &InRequest) -> Result<Option<Bytes>, Rejection> {
    let chunk = poll_fn(|context| Pin::new(&mut *payload).poll_next(context)).await;
    let chunk = chunk.transpose().map_err(|_| Rejection::Incomplete)?;
    in_request.took(chunk.as_ref().map(Bytes::len));
    Ok(chunk)
}
