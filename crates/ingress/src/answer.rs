//! The answers of the public port: a status and a small JSON body each, exactly as documented.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;

use crate::durable_sink::Durable;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const POST_ONLY: HeaderValue = HeaderValue::from_static("POST");

/// 200. Takes the proof that the delivery is durable.
pub(crate) fn accepted(_: Durable) -> HttpResponse {
    json(StatusCode::OK, r#"{"status":"accepted"}"#)
}

/// 401, whatever was wrong with the signature: a caller learns no more.
pub(crate) fn invalid_signature() -> HttpResponse {
    json(StatusCode::UNAUTHORIZED, r#"{"error":"invalid_signature"}"#)
}

/// 404 for an endpoint that is not configured.
pub(crate) fn unknown_endpoint() -> HttpResponse {
    json(StatusCode::NOT_FOUND, r#"{"error":"unknown_endpoint"}"#)
}

/// 404 for any other path.
pub(crate) fn not_found() -> HttpResponse {
    json(StatusCode::NOT_FOUND, r#"{"error":"not_found"}"#)
}

/// 405 with the one method that is allowed.
pub(crate) fn method_not_allowed() -> HttpResponse {
    with_header(
        json(
            StatusCode::METHOD_NOT_ALLOWED,
            r#"{"error":"method_not_allowed"}"#,
        ),
        header::ALLOW,
        POST_ONLY,
    )
}

/// 413.
pub(crate) fn body_too_large() -> HttpResponse {
    json(
        StatusCode::PAYLOAD_TOO_LARGE,
        r#"{"error":"body_too_large"}"#,
    )
}

/// 431.
pub(crate) fn headers_too_large() -> HttpResponse {
    json(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        r#"{"error":"headers_too_large"}"#,
    )
}

/// 408 for a body that did not come in time.
pub(crate) fn body_too_slow() -> HttpResponse {
    json(StatusCode::REQUEST_TIMEOUT, r#"{"error":"body_too_slow"}"#)
}

/// 400 for a body that broke off. Mostly nobody is left to read it.
pub(crate) fn body_incomplete() -> HttpResponse {
    json(StatusCode::BAD_REQUEST, r#"{"error":"body_incomplete"}"#)
}

/// 403 for an address that may not use the endpoint.
pub(crate) fn forbidden() -> HttpResponse {
    json(StatusCode::FORBIDDEN, r#"{"error":"forbidden"}"#)
}

/// 429: too many requests from this address or to this endpoint.
pub(crate) fn rate_limited(retry_after_s: NonZeroU64) -> HttpResponse {
    with_header(
        json(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"rate_limited"}"#),
        header::RETRY_AFTER,
        HeaderValue::from(retry_after_s.get()),
    )
}

/// 429: the bodies of all requests together need more memory than they may.
pub(crate) fn overloaded(retry_after: &HeaderValue) -> HttpResponse {
    with_header(
        json(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"overloaded"}"#),
        header::RETRY_AFTER,
        retry_after.clone(),
    )
}

/// 503: nothing could take the delivery durably; the caller is to come again.
pub(crate) fn unavailable(retry_after: &HeaderValue) -> HttpResponse {
    with_header(
        json(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"error":"unavailable"}"#,
        ),
        header::RETRY_AFTER,
        retry_after.clone(),
    )
}

/// The same answer, after which the connection is closed, because its body was not read.
///
/// Without this the server would wait, for ever and holding one of its connections, for the rest of
/// a chunked body that nobody wants. It does so once the payload is dropped; so the answer's body
/// holds it until that body is sent.
pub(crate) fn and_close(response: HttpResponse, unread: Payload) -> HttpResponse {
    if matches!(unread, Payload::None) {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(text) => BoxBody::new(HoldingPayload {
            text: Some(text),
            _unread: unread,
        }),
        Err(body) => body,
    })
}

struct HoldingPayload {
    text: Option<Bytes>,
    _unread: Payload,
}

impl MessageBody for HoldingPayload {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.as_ref().map_or(0, Bytes::len) as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.text.take().map(Ok))
    }
}

fn json(status: StatusCode, body: &'static str) -> HttpResponse {
    let response = HttpResponse::with_body(status, body).map_into_boxed_body();
    with_header(response, header::CONTENT_TYPE, JSON)
}

fn with_header(
    mut response: HttpResponse,
    name: header::HeaderName,
    value: HeaderValue,
) -> HttpResponse {
    response.headers_mut().insert(name, value);
    response
}
