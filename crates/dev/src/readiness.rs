//! Asking a server whether it is ready, without a client library.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest a server of this machine may take to answer one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Whether Redis answers `PING` with `PONG`, which it does once its data is loaded.
pub(crate) fn redis_answers(address: SocketAddr) -> bool {
    ask(address, "PING\r\nQUIT\r\n").is_some_and(|answer| answer.starts_with("+PONG"))
}

/// Whether `GET path` is answered with 200.
pub(crate) fn http_answers_200(address: SocketAddr, path: &str) -> bool {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask(address, &request).is_some_and(|answer| is_200(&answer))
}

/// Sends a question that ends the conversation, and reads the answer to its end.
fn ask(address: SocketAddr, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // What came before a fault may already be all that is needed.
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok();
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn is_200(answer: &str) -> bool {
    let mut words = answer.split_whitespace();
    words
        .next()
        .is_some_and(|version| version.starts_with("HTTP/1."))
        && words.next() == Some("200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_200_is_ready() {
        assert!(is_200("HTTP/1.1 200 OK\r\n\r\n{}"));
        assert!(!is_200("HTTP/1.1 503 Service Unavailable\r\n\r\n200"));
        assert!(!is_200(""));
    }
}
