//! Plain HTTP over a socket, so that a test can send what no well-behaved client would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

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

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nhost: test\r\n"),
            body: Vec::new(),
        }
    }

    /// A delivery to `path`, signed with `secret`.
    pub(crate) fn signed(path: &str, secret: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = sign(&Secret::new(secret), &body);
        Self::new("POST", path)
            .header("x-razorpay-signature", &signature)
            .body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    /// Everything up to the body.
    pub(crate) fn head_bytes(&self) -> Vec<u8> {
        format!("{}connection: close\r\n\r\n", self.head).into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
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
        match timeout(ANSWER_BOUND, read_response(&mut stream))
            .await
            .expect("an answer in time")
        {
            Some(response) => response,
            None => panic!("no answer; sending gave {sent:?}"),
        }
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Response {
    Request::new("GET", path).send(address).await
}

/// Reads one response until the server closes. `None` when there is none.
pub(crate) async fn read_response(stream: &mut (impl AsyncRead + Unpin)) -> Option<Response> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    // A reset after the answer is as good an end as a close.
    while let Ok(n @ 1..) = stream.read(&mut chunk).await {
        bytes.extend_from_slice(&chunk[..n]);
    }
    let text = String::from_utf8(bytes).unwrap();
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
