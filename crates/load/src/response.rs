//! Parses just enough of an HTTP/1.1 response.

use httparse::{EMPTY_HEADER, Status};

/// A response that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParsedResponse {
    pub(crate) status: u16,
    /// The length of the whole response.
    pub(crate) bytes: usize,
    /// Whether another request may follow on the connection.
    pub(crate) stays_open: bool,
}

/// Why bytes are not a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHttp {
    /// The head or the trailers are malformed.
    #[error("not an HTTP/1.1 response")]
    Malformed(#[from] httparse::Error),
    /// The response uses what a receiver of webhooks does not need.
    #[error("not an HTTP/1.1 response for a webhook: {0}")]
    Unsupported(&'static str),
}

/// Maximum headers of a response.
const HEADERS_MAX: usize = 32;

/// Where a response's body ends.
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Parses the response at the beginning of the received bytes; `None` if it is not complete yet.
/// `is_closed` means that no more bytes will come.
pub(crate) fn parse(received: &[u8], is_closed: bool) -> Result<Option<ParsedResponse>, NotHttp> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let Status::Complete(head_bytes) = head.parse(received)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let mut framing = match status {
        100..=199 => return Err(NotHttp::Unsupported("an unrequested interim response")),
        204 | 304 => Framing::Length(0),
        _ => Framing::UntilClosed,
    };
    let mut stays_open = head.version == Some(1);
    for header in head.headers {
        let value = header.value;
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            let not_a_number = NotHttp::Unsupported("a Content-Length is not a number");
            framing = Framing::Length(length.ok_or(not_a_number)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(NotHttp::Unsupported(
                    "a Transfer-Encoding other than chunked",
                ));
            }
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            stays_open = !value.eq_ignore_ascii_case(b"close");
        }
    }
    let rest = &received[head_bytes..];
    let body_bytes = match framing {
        Framing::Length(length) => (length <= rest.len()).then_some(length),
        Framing::Chunked => chunked_bytes(rest)?,
        Framing::UntilClosed => {
            stays_open = false;
            is_closed.then_some(rest.len())
        }
    };
    Ok(body_bytes.map(|body_bytes| ParsedResponse {
        status,
        bytes: head_bytes + body_bytes,
        stays_open,
    }))
}

/// The length of a chunked body with its trailers; `None` if it is not complete yet.
fn chunked_bytes(body: &[u8]) -> Result<Option<usize>, NotHttp> {
    let mut at = 0;
    loop {
        let not_a_number = |_| NotHttp::Unsupported("a chunk's size is not a number");
        let chunk = httparse::parse_chunk_size(&body[at..]).map_err(not_a_number)?;
        let Status::Complete((size_bytes, size)) = chunk else {
            return Ok(None);
        };
        at += size_bytes;
        if size == 0 {
            break;
        }
        let size = u32::try_from(size).map_err(|_| NotHttp::Unsupported("a chunk is too large"))?;
        at += size as usize + b"\r\n".len();
        if at > body.len() {
            return Ok(None);
        }
    }
    let mut trailers = [EMPTY_HEADER; HEADERS_MAX];
    Ok(match httparse::parse_headers(&body[at..], &mut trailers)? {
        Status::Complete((trailer_bytes, _)) => Some(at + trailer_bytes),
        Status::Partial => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{ParsedResponse, parse};

    const CHUNKS: &str = "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nt: u\r\n\r\n";

    #[test]
    fn a_response_is_whole_at_its_last_byte_and_not_before() {
        for (head, body, status, stays_open) in [
            (
                "1.1 200 OK\r\ncontent-length: 21\r\nx: y",
                "{\"status\":\"accepted\"}",
                200,
                true,
            ),
            (
                "1.1 503 No\r\nContent-Length: 0\r\nConnection: close",
                "",
                503,
                false,
            ),
            (
                "1.1 202 Yes\r\nTransfer-Encoding: chunked",
                CHUNKS,
                202,
                true,
            ),
            ("1.1 204 No Content", "", 204, true),
            ("1.0 401 No\r\nContent-Length: 2", "no", 401, false),
        ] {
            let text = format!("HTTP/{head}\r\n\r\n{body}");
            let bytes = text.as_bytes();
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end], false), Ok(None), "{text:?} to {end}");
                assert_eq!(parse(&bytes[..end], true), Ok(None), "{text:?} to {end}");
            }
            let response = ParsedResponse {
                status,
                bytes: bytes.len(),
                stays_open,
            };
            assert_eq!(parse(bytes, false), Ok(Some(response)), "{text:?}");
            let with_more = [bytes, b"HTTP"].concat();
            assert_eq!(parse(&with_more, false), Ok(Some(response)), "{text:?}");
        }
    }

    #[test]
    fn a_response_without_a_length_ends_with_its_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nhello";
        assert_eq!(parse(bytes, false), Ok(None));
        let response = ParsedResponse {
            status: 200,
            bytes: bytes.len(),
            stays_open: false,
        };
        assert_eq!(parse(bytes, true), Ok(Some(response)));
    }

    #[test]
    fn other_bytes_are_refused() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/1.1 abc\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(parse(text.as_bytes(), false).is_err(), "{text:?}");
        }
    }
}
