//! Sends deliveries over HTTP as Razorpay does.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{self, Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::delivery::Signed;

/// Razorpay waits this long for an answer before the delivery counts as failed.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Maximum bytes of an answer's body to read so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends deliveries, keeping connections open between them. Clones share the connections.
#[derive(Clone)]
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    answer_wait: Duration,
}

/// The receiver of deliveries.
#[derive(Clone, Debug)]
pub struct Destination {
    url: Url,
    uri: Uri,
    address: String,
}

/// Why a URL cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDestination {
    /// It is not a URL, or not one of a web server.
    #[error("{0:?} is not a URL such as http://127.0.0.1:8080/webhooks/razorpay")]
    NotHttp(String),
    /// There is no TLS here.
    #[error("deliveries are sent over plain http; give the http address behind {0:?}")]
    Https(String),
}

/// An HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status. Redirects are not followed: Razorpay takes them as failures.
    pub status: u16,
    /// From the first byte sent to the head of the answer.
    pub latency: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// No answer within [`ANSWER_WAIT`].
    #[error("no answer from {address} within {} s, which is how long Razorpay waits", ANSWER_WAIT.as_secs())]
    TimedOut {
        /// Host and port.
        address: String,
    },
    /// The connection ended before the answer, or the answer was not HTTP.
    #[error("the connection to {address} broke before the answer")]
    Broken {
        /// Host and port.
        address: String,
        /// The error of the system or the HTTP client.
        #[source]
        cause: io::Error,
    },
    /// The event id or the signature has characters that no header may have.
    #[error("the {header} cannot be sent in a header")]
    NoHeader {
        /// Which of the two.
        header: &'static str,
    },
}

/// A text that should be a URL, without what may be a user and a password: everything before its last `@`.
fn without_user(url: &str) -> String {
    url.rsplit_once('@')
        .map_or_else(|| url.to_owned(), |(_, rest)| format!("…@{rest}"))
}

impl Destination {
    /// Parses a URL.
    pub fn parse(url: &str) -> Result<Self, InvalidDestination> {
        let not_http = || InvalidDestination::NotHttp(without_user(url));
        let parsed = Url::parse(url).map_err(|_| not_http())?;
        match parsed.scheme() {
            "http" => {}
            "https" => return Err(InvalidDestination::Https(without_user(url))),
            _ => return Err(not_http()),
        }
        let has_user = !parsed.username().is_empty() || parsed.password().is_some();
        let host = parsed
            .host_str()
            .filter(|_| !has_user)
            .ok_or_else(not_http)?;
        let port = parsed.port_or_known_default().ok_or_else(not_http)?;
        Ok(Self {
            address: format!("{host}:{port}"),
            uri: parsed.as_str().parse().map_err(|_| not_http())?,
            url: parsed,
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The `Host` header: the port only if it is not HTTP's own.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The path with the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    fn failed(&self, error: &legacy::Error) -> SendError {
        let address = self.address.clone();
        let cause = root_cause(error);
        if error.is_connect() {
            SendError::Unreachable { address, cause }
        } else {
            SendError::Broken { address, cause }
        }
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// A sender without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self::waiting(ANSWER_WAIT)
    }

    fn waiting(answer_wait: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .http1_title_case_headers(true)
            .build_http();
        Self {
            client,
            answer_wait,
        }
    }

    /// Sends one delivery and waits for its answer, whatever its status is.
    pub async fn send(
        &self,
        destination: &Destination,
        delivery: &Signed,
    ) -> Result<Answer, SendError> {
        let mut request = Request::new(Full::new(delivery.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = destination.uri.clone();
        *request.headers_mut() = headers(delivery)?;
        let began = Instant::now();
        let deadline = began + self.answer_wait;
        let answer = timeout_at(deadline, self.client.request(request))
            .await
            .map_err(|_| SendError::TimedOut {
                address: destination.address.clone(),
            })?
            .map_err(|error| destination.failed(&error))?;
        let (status, latency) = (answer.status().as_u16(), began.elapsed());
        // The status counts; a body that breaks off costs only the connection.
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        drop(timeout_at(deadline, body.collect()).await);
        Ok(Answer { status, latency })
    }
}

/// The headers of a delivery, as seen on the wire: a retry has those of the first attempt.
fn headers(delivery: &Signed) -> Result<HeaderMap, SendError> {
    let value = |header, text: &str| {
        HeaderValue::from_str(text).map_err(|_| SendError::NoHeader { header })
    };
    let event_id = value("event id", &delivery.event_id)?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("Razorpay-Webhook/v1"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert("request-id", event_id.clone());
    headers.insert("x-razorpay-event-id", event_id);
    let signature = value("signature", &delivery.signature)?;
    headers.insert("x-razorpay-signature", signature);
    if let Some(traceparent) = &delivery.traceparent {
        headers.insert("traceparent", value("trace context", traceparent)?);
    }
    Ok(headers)
}

/// The end of a chain of errors. The links between are the HTTP client's own and do not help operators.
fn root_cause(error: &legacy::Error) -> io::Error {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(cause) => cause.raw_os_error().map_or_else(
            || io::Error::new(cause.kind(), cause.to_string()),
            io::Error::from_raw_os_error,
        ),
        None => io::Error::other(cause.to_string()),
    }
}

#[cfg(test)]
mod tests;
