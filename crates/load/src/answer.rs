//! Reading just enough of an HTTP/1.1 answer.

/// An answer that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How many of the bytes are the answer's.
    pub(crate) bytes: usize,
    /// Whether another request may follow on the connection.
    pub(crate) stays_open: bool,
}

/// Bytes that are no answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an HTTP/1.1 answer: {0}")]
pub struct NotHttp(&'static str);

/// Where an answer's body ends.
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads an answer from the beginning of what has arrived on a connection, `None` where more of it is
/// to come. `closed` says that nothing more will.
pub(crate) fn read(arrived: &[u8], closed: bool) -> Result<Option<Answer>, NotHttp> {
    let Some(line_end) = find_line_end(arrived) else {
        return Ok(None);
    };
    let status = status(&arrived[..line_end])?;
    let mut framing = if matches!(status, 100..=199 | 204 | 304) {
        Framing::Length(0)
    } else {
        Framing::UntilClosed
    };
    let mut stays_open = arrived.starts_with(b"HTTP/1.1");
    let mut rest = &arrived[line_end + 2..];
    loop {
        let Some(line_end) = find_line_end(rest) else {
            return Ok(None);
        };
        let line = &rest[..line_end];
        rest = &rest[line_end + 2..];
        if line.is_empty() {
            break;
        }
        if let Some(value) = value_of(line, b"content-length:") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            framing = Framing::Length(length.ok_or(NotHttp("a Content-Length is not a number"))?);
        } else if let Some(value) = value_of(line, b"transfer-encoding:") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(NotHttp("a Transfer-Encoding other than chunked"));
            }
            framing = Framing::Chunked;
        } else if let Some(value) = value_of(line, b"connection:") {
            stays_open = !value.eq_ignore_ascii_case(b"close");
        }
    }
    let head = arrived.len() - rest.len();
    let body = match framing {
        Framing::Length(length) => (length <= rest.len()).then_some(length),
        Framing::Chunked => chunks(rest)?,
        Framing::UntilClosed => {
            stays_open = false;
            closed.then_some(rest.len())
        }
    };
    Ok(body.map(|body| Answer {
        status,
        bytes: head + body,
        stays_open,
    }))
}

fn status(line: &[u8]) -> Result<u16, NotHttp> {
    let code = line
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| line.strip_prefix(b"HTTP/1.0 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| code.parse().ok());
    match code {
        Some(100..=199) => Err(NotHttp("an interim answer that nobody asked for")),
        Some(code) => Ok(code),
        None => Err(NotHttp("no status line")),
    }
}

/// The value of a header line whose name, in lower case with its colon, is `name`.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// How many bytes a chunked body takes, `None` where more of it is to come.
fn chunks(body: &[u8]) -> Result<Option<usize>, NotHttp> {
    let mut at = 0;
    loop {
        let Some(line_end) = find_line_end(&body[at..]) else {
            return Ok(None);
        };
        let line = &body[at..at + line_end];
        let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
        let size = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
            .filter(|size| u32::try_from(*size).is_ok())
            .ok_or(NotHttp("a chunk's size is not a number"))?;
        at += line_end + 2;
        if size == 0 {
            break;
        }
        at += size + 2;
        if at > body.len() {
            return Ok(None);
        }
    }
    // Trailers, up to an empty line.
    loop {
        match find_line_end(&body[at..]) {
            None => return Ok(None),
            Some(0) => return Ok(Some(at + 2)),
            Some(line_end) => at += line_end + 2,
        }
    }
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == b'\r')?;
        match bytes.get(at + 1) {
            Some(b'\n') => return Some(at),
            Some(_) => from = at + 1,
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, read};

    const CASES: [(&str, u16, bool); 5] = [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 21\r\nx: y\r\n\r\n{\"status\":\"accepted\"}",
            200,
            true,
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            503,
            false,
        ),
        (
            "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nt: u\r\n\r\n",
            202,
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        ("HTTP/1.0 401 No\r\nContent-Length: 2\r\n\r\nno", 401, false),
    ];

    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_not_before() {
        for (text, status, stays_open) in CASES {
            let bytes = text.as_bytes();
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end], false), Ok(None), "{text:?} to {end}");
                assert_eq!(read(&bytes[..end], true), Ok(None), "{text:?} to {end}");
            }
            let answer = Answer {
                status,
                bytes: bytes.len(),
                stays_open,
            };
            assert_eq!(read(bytes, false), Ok(Some(answer)), "{text:?}");
            let with_more = [bytes, b"HTTP"].concat();
            assert_eq!(read(&with_more, false), Ok(Some(answer)), "{text:?}");
        }
    }

    #[test]
    fn an_answer_without_a_length_ends_with_its_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nhello";
        assert_eq!(read(bytes, false), Ok(None));
        let answer = read(bytes, true).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.bytes, answer.stays_open),
            (200, bytes.len(), false)
        );
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/1.1 abc\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(read(text.as_bytes(), false).is_err(), "{text:?}");
        }
    }
}
