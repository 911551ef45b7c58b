//! Sends deliveries over HTTP as Razorpay does.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use harkara_tls::ClientTls;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::delivery::Signed;

/// Razorpay waits this long for an answer and then takes the delivery as failed.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Most of an answer's body that is read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends deliveries, keeping connections open between them. Clones share the connections.
#[derive(Clone)]
pub struct Sender(Client);

/// Where deliveries are sent to.
#[derive(Clone, Debug)]
pub struct Destination {
    url: Url,
    address: String,
}

/// Why an URL cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDestination {
    /// It is not an URL, or not one of a web server.
    #[error("{0:?} is not a URL such as http://127.0.0.1:8080/webhooks/razorpay")]
    NotHttp(String),
    /// This build has no TLS.
    #[error("sending over https is not built in yet; use the http address behind {0:?}")]
    HttpsNotBuiltIn(String),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status. Redirects are not followed: Razorpay takes them as failures.
    pub status: u16,
    /// From the first byte sent to the head of the answer.
    pub latency: Duration,
}

/// Why no answer came back.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
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
        /// What the system or the HTTP client said.
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

impl Destination {
    /// Reads an URL.
    pub fn parse(url: &str) -> Result<Self, InvalidDestination> {
        let not_http = || InvalidDestination::NotHttp(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| not_http())?;
        match parsed.scheme() {
            "http" => {}
            "https" => return Err(InvalidDestination::HttpsNotBuiltIn(url.to_owned())),
            _ => return Err(not_http()),
        }
        let host = parsed.host_str().ok_or_else(not_http)?;
        let port = parsed.port_or_known_default().ok_or_else(not_http)?;
        let address = format!("{host}:{port}");
        Ok(Self {
            url: parsed,
            address,
        })
    }

    /// The whole of it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
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
        // Nothing is sent over TLS, but where another crate has reqwest built with it, a client wants a backend.
        let tls = ClientTls::new(None, None).expect("the authorities that are built in are sound");
        let client = Client::builder()
            .tls_backend_preconfigured(tls.config().clone())
            .timeout(answer_wait)
            .redirect(Policy::none())
            // Test deliveries go straight to the given address, whatever proxy the machine has.
            .no_proxy()
            .http1_title_case_headers()
            .build()
            .expect("a client without TLS and with the system's resolver needs nothing that can be missing");
        Self(client)
    }

    /// Sends one delivery and waits for its answer, whatever its status is.
    pub async fn send(
        &self,
        destination: &Destination,
        delivery: &Signed,
    ) -> Result<Answer, SendError> {
        let headers = headers(delivery)?;
        let request = self
            .0
            .post(destination.url.clone())
            .headers(headers)
            .body(delivery.body.clone());
        let began = Instant::now();
        let mut answer = request
            .send()
            .await
            .map_err(|error| destination.failed(&error))?;
        let (status, latency) = (answer.status().as_u16(), began.elapsed());
        let mut read = 0;
        while read < ANSWER_BYTES_MAX {
            match answer.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                // The status is what counts; a body that breaks off costs only the connection.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Answer { status, latency })
    }
}

/// The headers of a delivery, as seen on the wire: nothing in them tells a retry from a first attempt.
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
    if let Some(signature) = &delivery.signature {
        headers.insert("x-razorpay-signature", value("signature", signature)?);
    }
    if let Some(traceparent) = &delivery.traceparent {
        headers.insert("traceparent", value("trace context", traceparent)?);
    }
    Ok(headers)
}

impl Destination {
    fn failed(&self, error: &reqwest::Error) -> SendError {
        let address = self.address.clone();
        if error.is_timeout() {
            SendError::TimedOut { address }
        } else if error.is_connect() {
            SendError::Unreachable {
                address,
                cause: root_cause(error),
            }
        } else {
            SendError::Broken {
                address,
                cause: root_cause(error),
            }
        }
    }
}

/// The end of a chain of errors. The links between are the HTTP client's own and tell operators nothing.
fn root_cause(error: &reqwest::Error) -> io::Error {
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
