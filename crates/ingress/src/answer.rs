//! The answers of the public port: a status and a small JSON body each, exactly as documented.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;

use crate::durable::Durable;
use crate::outcome::Rejection;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const POST_ONLY: HeaderValue = HeaderValue::from_static("POST");

/// 200. Takes the proof that the delivery is durable.
#[must_use]
pub fn accepted(_: Durable) -> HttpResponse {
    json(StatusCode::OK, r#"{"status":"accepted"}"#)
}

/// The answer to a rejected request; `retry_after` is sent if a later attempt can succeed. It does not say
/// what is wrong with a signature.
pub(crate) fn rejected(rejection: Rejection, retry_after: &HeaderValue) -> HttpResponse {
    use Rejection::{
        Forbidden, HeadersTooLarge, Incomplete, InvalidSignature, Overloaded, RateLimited, Timeout,
        TooLarge, Unavailable, UnknownEndpoint,
    };
    let (status, body) = match rejection {
        Incomplete => (400, r#"{"error":"body_incomplete"}"#),
        InvalidSignature => (401, r#"{"error":"invalid_signature"}"#),
        Forbidden => (403, r#"{"error":"forbidden"}"#),
        UnknownEndpoint => (404, r#"{"error":"unknown_endpoint"}"#),
        Timeout => (408, r#"{"error":"body_too_slow"}"#),
        TooLarge => (413, r#"{"error":"body_too_large"}"#),
        RateLimited => (429, r#"{"error":"rate_limited"}"#),
        Overloaded => (429, r#"{"error":"overloaded"}"#),
        HeadersTooLarge => (431, r#"{"error":"headers_too_large"}"#),
        Unavailable => (503, r#"{"error":"unavailable"}"#),
    };
    let status = StatusCode::from_u16(status).expect("a valid status");
    match rejection {
        RateLimited | Overloaded | Unavailable => {
            with_header(json(status, body), header::RETRY_AFTER, retry_after.clone())
        }
        _ => json(status, body),
    }
}

/// 404 for a path that is no webhook's.
pub(crate) fn not_found() -> HttpResponse {
    json(StatusCode::NOT_FOUND, r#"{"error":"not_found"}"#)
}

/// 405, naming the one method that is allowed.
pub(crate) fn method_not_allowed() -> HttpResponse {
    let response = json(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"error":"method_not_allowed"}"#,
    );
    with_header(response, header::ALLOW, POST_ONLY)
}

/// Closes the connection after the answer, because the request's body was not read.
///
/// Once the payload is dropped, the server would wait without limit for the rest of a chunked body and hold
/// the connection. So the answer's body holds the payload until that body is sent.
pub(crate) fn and_close(mut response: HttpResponse, unread: Payload) -> HttpResponse {
    if matches!(unread, Payload::None) {
        return response;
    }
    response.extensions_mut().insert(Unread);
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(text) => BoxBody::new(HoldingPayload {
            text: Some(text),
            _unread: unread,
        }),
        Err(body) => body,
    })
}

/// Marks the answer to a request whose body was not read.
pub(crate) struct Unread;

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
