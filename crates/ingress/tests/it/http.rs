//! Plain HTTP over a socket, so that a test can send what no well-behaved client would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_testkit::wait_until;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::BOUND;
use crate::ingress::{PATH, SECRET};

/// No answer of any test takes this long.
pub(crate) const ANSWER_BOUND: Duration = Duration::from_secs(15);

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// A request under construction.
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

impl Response {
    #[track_caller]
    pub(crate) fn assert(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
    }
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nhost: test\r\n"),
            body: Vec::new(),
        }
    }

    /// A request to the endpoint `default`, without a signature.
    pub(crate) fn post() -> Self {
        Self::new("POST", PATH)
    }

    /// A delivery to `path`, signed with `secret`.
    pub(crate) fn signed(path: &str, secret: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = sign(&Secret::new(secret), &body);
        Self::new("POST", path).signature(&signature).body(body)
    }

    /// A delivery to the endpoint `default`.
    pub(crate) fn delivery(body: impl Into<Vec<u8>>) -> Self {
        Self::signed(PATH, SECRET, body)
    }

    /// A delivery to the endpoint `default` in chunks of up to `bytes`.
    pub(crate) fn delivery_in_chunks(body: &str, bytes: usize) -> Self {
        let signature = sign(&Secret::new(SECRET), body.as_bytes());
        let mut request = Self::post().signature(&signature).chunked();
        for chunk in body.as_bytes().chunks(bytes) {
            let size = format!("{:x}\r\n", chunk.len());
            request
                .body
                .extend([size.as_bytes(), chunk, b"\r\n"].concat());
        }
        request.body.extend(b"0\r\n\r\n");
        request
    }

    pub(crate) fn signature(self, signature: &str) -> Self {
        self.header("x-razorpay-signature", signature)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let n_bytes = self.body.len();
        self.declaring(n_bytes)
    }

    /// Declares the length of the body.
    pub(crate) fn declaring(self, n_bytes: usize) -> Self {
        self.header("content-length", &n_bytes.to_string())
    }

    pub(crate) fn chunked(self) -> Self {
        self.header("transfer-encoding", "chunked")
    }

    /// The bytes of the request, followed by more.
    pub(crate) fn then(&self, more: &[u8]) -> Vec<u8> {
        let head = format!("{}connection: close\r\n\r\n", self.head);
        [head.as_bytes(), &self.body, more].concat()
    }

    /// The bytes of the request, after which the connection stays open.
    pub(crate) fn kept_alive(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.then(b"")
    }

    pub(crate) async fn send(self, address: SocketAddr) -> Response {
        self.send_over(TcpStream::connect(address).await.unwrap())
            .await
    }

    pub(crate) async fn send_over(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Response {
        // The server may answer and close before it has read everything.
        let sent = stream.write_all(&self.bytes()).await;
        let answer = read_response(&mut stream).await;
        answer.unwrap_or_else(|| panic!("no answer; sending gave {sent:?}"))
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Response {
    Request::new("GET", path).send(address).await
}

/// A connection over which these bytes were sent.
pub(crate) async fn connected(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the server closes.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is as good an end as a close.
    let read = timeout(ANSWER_BOUND, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection is closed in time").ok();
    String::from_utf8(bytes).unwrap()
}

/// Reads one response until the server closes. `None` when there is none.
pub(crate) async fn read_response(stream: &mut (impl AsyncRead + Unpin)) -> Option<Response> {
    let text = read_to_end(stream).await;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Some(Response {
        status,
        headers,
        body: body.to_owned(),
    })
}

/// The answer to some bytes, after which nothing more is sent.
pub(crate) async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = connected(address, bytes).await;
    read_response(&mut stream).await.expect("an answer")
}

/// Reads some bytes of an answer over a connection that stays open, and asserts that it is a 200.
pub(crate) async fn assert_accepted_over(stream: &mut TcpStream) {
    let mut answer = [0; 4096];
    let n = timeout(ANSWER_BOUND, stream.read(&mut answer)).await;
    let n = n.unwrap().expect("the connection is open");
    let answer = String::from_utf8_lossy(&answer[..n]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A field of an exposition of metrics: the integer after the metric's name and labels.
pub(crate) async fn metric(admin: SocketAddr, name: &str) -> Option<u64> {
    let metrics = get(admin, "/metrics").await.body;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

/// Waits until the value of a metric fits.
pub(crate) async fn until_metric(admin: SocketAddr, name: &str, fits: impl Fn(u64) -> bool) {
    wait_until(name, BOUND, async || {
        metric(admin, name).await.is_some_and(&fits)
    })
    .await;
}
