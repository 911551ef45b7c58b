//! One connection: requests and their answers, one after another.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::response::{self, NotHttp, ParsedResponse};

/// How long to wait for an answer. Razorpay waits 5 s; a load waits longer, so that late answers are
/// still seen.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// How long connecting may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Initial room for an answer, enough for any to a webhook.
const ANSWER_BYTES_USUAL: usize = 2 * 1024;

/// Maximum bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A connection to the target without a request in progress.
pub(crate) struct TargetConnection {
    stream: TcpStream,
    arrived: Vec<u8>,
    /// Fires some time after the wait for an answer began; resetting it for each request would cost more
    /// than the request itself.
    patience: Pin<Box<Sleep>>,
}

/// Why a request has no complete answer, so that its outcome is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed while the request was sent.
    #[error("the connection broke while a request was being sent")]
    Sending(#[source] io::Error),
    /// The connection failed while the answer was read.
    #[error("the connection broke before the answer was complete")]
    Receiving(#[source] io::Error),
    /// The target closed the connection.
    #[error("the target closed the connection before its answer was complete")]
    Closed,
    /// The answer cannot be parsed.
    #[error("the answer cannot be parsed")]
    NotHttp(#[source] NotHttp),
    /// The answer is longer than any of a receiver of webhooks.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// The answer was not complete in time.
    #[error("no complete answer within {} s", ANSWER_WAIT.as_secs())]
    TimedOut,
}

impl TargetConnection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(CONNECT_WAIT, TcpStream::connect(address))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        // A request is one write, and must not wait for the acknowledgement of the previous one.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            arrived: vec![0; ANSWER_BYTES_USUAL],
            patience: Box::pin(sleep_until(Instant::now() + ANSWER_WAIT)),
        })
    }

    /// Sends a request, given in two parts, and reads its answer. After an error, or an answer that
    /// does not stay open, the connection cannot be used again.
    pub(crate) async fn exchange(
        &mut self,
        began: std::time::Instant,
        head: &[u8],
        rest: &[u8],
    ) -> Result<ParsedResponse, Broken> {
        let give_up = Instant::from_std(began) + ANSWER_WAIT;
        let mut sent = 0;
        let mut arrived = 0;
        poll_fn(|cx| {
            let progress = self.poll_exchange(cx, [head, rest], &mut sent, &mut arrived);
            if progress.is_pending() && self.poll_patience(cx, give_up).is_ready() {
                return Poll::Ready(Err(Broken::TimedOut));
            }
            progress
        })
        .await
    }

    /// [`TargetConnection::exchange`] as a slow sender does it: in `pieces` of one size, with pauses between.
    pub(crate) async fn exchange_slowly(
        &mut self,
        head: &[u8],
        rest: &[u8],
        pieces: u32,
        pause: Duration,
    ) -> Result<ParsedResponse, Broken> {
        let request = [head, rest].concat();
        let mut pieces = request.chunks(request.len().div_ceil(pieces as usize).max(1));
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let mut sent = 0;
            while sent < piece.len() {
                self.stream.writable().await.map_err(Broken::Sending)?;
                match self.stream.try_write(&piece[sent..]) {
                    Ok(bytes) => sent += bytes,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(Broken::Sending(error)),
                }
            }
            tokio::time::sleep(pause).await;
        }
        self.exchange(std::time::Instant::now(), last, &[]).await
    }

    /// Whether the target has closed the connection or sent unrequested bytes.
    pub(crate) async fn is_spoiled(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_spoiled(cx).is_ready())).await
    }

    /// Ready once the target has closed the connection or sent unrequested bytes.
    pub(crate) fn poll_spoiled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = ReadBuf::new(&mut self.arrived);
        Pin::new(&mut self.stream)
            .poll_read(cx, &mut buffer)
            .map(|_| ())
    }

    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        request: [&[u8]; 2],
        sent: &mut usize,
        arrived: &mut usize,
    ) -> Poll<Result<ParsedResponse, Broken>> {
        let [head, rest] = request;
        while *sent < head.len() + rest.len() {
            let parts = [
                IoSlice::new(head.get(*sent..).unwrap_or_default()),
                IoSlice::new(&rest[sent.saturating_sub(head.len())..]),
            ];
            let written = Pin::new(&mut self.stream).poll_write_vectored(cx, &parts);
            match ready!(written).map_err(Broken::Sending)? {
                0 => return Poll::Ready(Err(Broken::Sending(io::ErrorKind::WriteZero.into()))),
                bytes => *sent += bytes,
            }
        }
        loop {
            if *arrived == self.arrived.len() {
                if *arrived >= ANSWER_BYTES_MAX {
                    return Poll::Ready(Err(Broken::TooLong));
                }
                self.arrived.resize(2 * *arrived, 0);
            }
            let mut buffer = ReadBuf::new(&mut self.arrived[*arrived..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))
                .map_err(Broken::Receiving)?;
            let bytes = buffer.filled().len();
            *arrived += bytes;
            let closed = bytes == 0;
            let response =
                response::parse(&self.arrived[..*arrived], closed).map_err(Broken::NotHttp)?;
            if let Some(mut response) = response {
                // Bytes behind the answer belong to no request.
                response.stays_open &= response.bytes == *arrived;
                return Poll::Ready(Ok(response));
            }
            if closed {
                return Poll::Ready(Err(Broken::Closed));
            }
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>, give_up: Instant) -> Poll<()> {
        while self.patience.as_mut().poll(cx).is_ready() {
            if Instant::now() >= give_up {
                return Poll::Ready(());
            }
            self.patience.as_mut().reset(give_up);
        }
        Poll::Pending
    }
}
