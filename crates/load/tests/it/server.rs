//! A small HTTP server that does to each request what the test says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the server does to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    /// Answers with a status and leaves the connection open.
    Answer(u16),
    /// Says that the connection closes, and closes it.
    AnswerAndClose(u16),
    /// Answers in two parts, between which others get their turn, as chunks.
    AnswerInChunks(u16),
    /// Answers and then closes without having said so.
    AnswerAndHangUp(u16),
    /// Closes without an answer.
    HangUp,
    /// Closes within its answer's body.
    BreakOff,
    /// Says something that is not HTTP.
    Babble,
}

/// How long after the first request a server stops answering, and for how long.
pub(crate) type Stall = (Duration, Duration);

/// Starts a server whose reaction depends on how many requests it has had before; it stops with its
/// runtime.
pub(crate) async fn start(
    stall: Option<Stall>,
    react: impl Fn(usize) -> Reaction + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve_on(listener, stall, react);
    address
}

/// Starts a server that never stalls at an address that is free.
pub(crate) async fn start_at(
    address: SocketAddr,
    react: impl Fn(usize) -> Reaction + Send + Sync + 'static,
) {
    let listener = TcpListener::bind(address).await.unwrap();
    serve_on(listener, None, react);
}

fn serve_on(
    listener: TcpListener,
    stall: Option<Stall>,
    react: impl Fn(usize) -> Reaction + Send + Sync + 'static,
) {
    let server = Arc::new(Server {
        requests: AtomicUsize::new(0),
        react: Box::new(react),
        stall,
        first_request: OnceLock::new(),
    });
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(Arc::clone(&server).serve(stream));
        }
    });
}

struct Server {
    requests: AtomicUsize,
    react: Box<dyn Fn(usize) -> Reaction + Send + Sync>,
    stall: Option<Stall>,
    first_request: OnceLock<Instant>,
}

impl Server {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut arrived = Vec::new();
        while let Some(bytes) = whole_request(&mut stream, &mut arrived).await {
            arrived.drain(..bytes);
            let reaction = (self.react)(self.requests.fetch_add(1, Ordering::SeqCst));
            let now = Instant::now();
            let first = *self.first_request.get_or_init(|| now);
            if let Some((after, length)) = self.stall
                && (first + after..first + after + length).contains(&now)
            {
                tokio::time::sleep_until(first + after + length).await;
            }
            if !answer(&mut stream, reaction).await {
                return;
            }
        }
    }
}

/// Whether the connection stays open.
async fn answer(stream: &mut TcpStream, reaction: Reaction) -> bool {
    let (first, second, stays_open) = match reaction {
        Reaction::Answer(status) => (with_length(status, ""), "", true),
        Reaction::AnswerAndClose(status) => {
            (with_length(status, "connection: close\r\n"), "", false)
        }
        Reaction::AnswerInChunks(status) => (
            format!("HTTP/1.1 {status} x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r"),
            "\n0\r\n\r\n",
            true,
        ),
        Reaction::AnswerAndHangUp(status) => (with_length(status, ""), "", false),
        Reaction::HangUp => (String::new(), "", false),
        Reaction::BreakOff => (
            "HTTP/1.1 200 x\r\ncontent-length: 20\r\n\r\n{\"sta".to_owned(),
            "",
            false,
        ),
        Reaction::Babble => ("220 ready\r\n".to_owned(), "", false),
    };
    for part in [first.as_str(), second] {
        stream.write_all(part.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    stays_open
}

fn with_length(status: u16, header: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n{header}\r\nok")
}

/// How many of the arrived bytes are the first request, once it is whole; `None` at the end.
async fn whole_request(stream: &mut TcpStream, arrived: &mut Vec<u8>) -> Option<usize> {
    loop {
        let text = String::from_utf8_lossy(arrived);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("POST /webhooks/razorpay HTTP/1.1\r\n"));
            let (_, length) = head.split_once("Content-Length: ").unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return Some(head.len() + 4 + length);
            }
        }
        if stream.read_buf(arrived).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
