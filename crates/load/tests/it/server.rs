//! An HTTP server that reacts to each request as a test says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The server's reaction to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    /// Answers with a status and leaves the connection open.
    Answer(u16),
    /// Answers with `Connection: close` and closes.
    AnswerAndClose(u16),
    /// Answers in chunks, in two parts between which other tasks run.
    AnswerInChunks(u16),
    /// Answers and closes without `Connection: close`.
    AnswerAndHangUp(u16),
    /// Closes without an answer.
    HangUp,
    /// Closes within its answer's body.
    BreakOff,
    /// Sends something that is not HTTP.
    Babble,
}

/// How long after the first request a server stops answering, and for how long.
type Stall = (Duration, Duration);

/// Starts a server that answers every request with a status; it stops with its runtime.
pub(crate) async fn answering(status: u16) -> SocketAddr {
    reacting(move |_| Reaction::Answer(status)).await
}

/// Starts a server whose reaction depends on how many requests it has had before.
pub(crate) async fn reacting(
    react: impl Fn(usize) -> Reaction + Send + Sync + 'static,
) -> SocketAddr {
    start("127.0.0.1:0", None, react).await
}

/// Starts a server that answers 200, except for a stall.
pub(crate) async fn stalling(after_ms: u64, length_ms: u64) -> SocketAddr {
    let ms = Duration::from_millis;
    let stall = Some((ms(after_ms), ms(length_ms)));
    start("127.0.0.1:0", stall, |_| Reaction::Answer(200)).await
}

/// Starts a server that answers 200 at a free address.
pub(crate) async fn answering_at(address: SocketAddr) {
    start(address, None, |_| Reaction::Answer(200)).await;
}

async fn start(
    address: impl tokio::net::ToSocketAddrs,
    stall: Option<Stall>,
    react: impl Fn(usize) -> Reaction + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(TestServer {
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
    address
}

struct TestServer {
    requests: AtomicUsize,
    react: Box<dyn Fn(usize) -> Reaction + Send + Sync>,
    stall: Option<Stall>,
    first_request: OnceLock<Instant>,
}

impl TestServer {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut received = Vec::new();
        while let Some(bytes) = whole_request(&mut stream, &mut received).await {
            received.drain(..bytes);
            let reaction = (self.react)(self.requests.fetch_add(1, Ordering::SeqCst));
            let now = Instant::now();
            let first = *self.first_request.get_or_init(|| now);
            if let Some((after, length)) = self.stall
                && (first + after..first + after + length).contains(&now)
            {
                tokio::time::sleep_until(first + after + length).await;
            }
            let (parts, stays_open) = reaction.answer();
            for part in parts {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            if !stays_open {
                return;
            }
        }
    }
}

impl Reaction {
    /// The parts of the answer, and whether the connection stays open.
    fn answer(self) -> (Vec<String>, bool) {
        let whole = |status, header: &str| {
            vec![format!(
                "HTTP/1.1 {status} x\r\nContent-Length: 2\r\n{header}\r\nok"
            )]
        };
        match self {
            Self::Answer(status) => (whole(status, ""), true),
            Self::AnswerAndClose(status) => (whole(status, "connection: close\r\n"), false),
            Self::AnswerInChunks(status) => {
                let head = format!("HTTP/1.1 {status} x\r\ntransfer-encoding: chunked\r\n\r\n");
                (vec![head + "2\r\nok\r", "\n0\r\n\r\n".to_owned()], true)
            }
            Self::AnswerAndHangUp(status) => (whole(status, ""), false),
            Self::HangUp => (Vec::new(), false),
            Self::BreakOff => {
                let begun = "HTTP/1.1 200 x\r\ncontent-length: 20\r\n\r\n{\"sta";
                (vec![begun.to_owned()], false)
            }
            Self::Babble => (vec!["220 ready\r\n".to_owned()], false),
        }
    }
}

/// The length of the first request among the received bytes, once it is whole; `None` at the end.
async fn whole_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<usize> {
    loop {
        let text = String::from_utf8_lossy(received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("POST /webhooks/razorpay HTTP/1.1\r\n"));
            let (_, length) = head.split_once("Content-Length: ").unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return Some(head.len() + 4 + length);
            }
        }
        if stream.read_buf(received).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
