//! Finds where heads of requests end, so that the server is given one request at a time.

use memchr::memchr;

/// Looks for the empty line that ends a head, as the server does: a line feed ends a line, with or without a carriage
/// return, and empty lines before the request line do not count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadEnds {
    /// A head ended in this step.
    has_ended: bool,
    /// The head has a line that is not empty.
    has_line: bool,
    /// The line that has begun has more than a carriage return.
    has_text: bool,
}

impl HeadEnds {
    /// How many of these bytes the server may be given in this step, with what it was given before: no second head.
    /// Usually that is all of them.
    pub(super) fn up_to_second(&mut self, bytes: &[u8]) -> usize {
        let first = if self.has_ended {
            0
        } else {
            match self.next(bytes) {
                None => return bytes.len(),
                Some(end) => end,
            }
        };
        let mut after = *self;
        if after.next(&bytes[first..]).is_some() {
            return first;
        }
        *self = after;
        bytes.len()
    }

    /// The server handles what it was given.
    pub(super) fn end_step(&mut self) {
        self.has_ended = false;
    }

    /// The end of the first head that ends within these bytes.
    fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut from = 0;
        while let Some(length) = memchr(b'\n', &bytes[from..]) {
            let line = &bytes[from..from + length];
            from += length + 1;
            let is_empty = !self.has_text && is_blank(line);
            self.has_text = false;
            if is_empty && self.has_line {
                *self = Self {
                    has_ended: true,
                    ..Self::default()
                };
                return Some(from);
            }
            self.has_line |= !is_empty;
        }
        self.has_text |= !is_blank(&bytes[from..]);
        None
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, [] | [b'\r'])
}

#[cfg(test)]
mod tests {
    use super::HeadEnds;

    const HEAD: &str = "POST / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[test]
    fn bytes_are_cut_after_the_first_of_two_heads_only() {
        let two = HEAD.repeat(2);
        let with_body = format!("{HEAD}{{}}{HEAD}");
        let in_body = format!("{HEAD}{{\n\n}}");
        for (bytes, expected) in [
            ("", 0),
            ("\r\n\n", 3),
            (HEAD, HEAD.len()),
            (&two, HEAD.len()),
            (&with_body, HEAD.len()),
            (&with_body[..with_body.len() - 1], with_body.len() - 1),
            (&in_body, HEAD.len()),
            ("\r\n\nA / HTTP/1.0\n\nA / HTTP/1.0\n\n", 17),
            ("A / HTTP/1.0\nx: y\n\r\nA / HTTP/1.0\n\r\n", 20),
        ] {
            let cut = HeadEnds::default().up_to_second(bytes.as_bytes());
            assert_eq!(cut, expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_step_has_one_head_however_it_comes() {
        let bytes = format!("{HEAD}{{}}{HEAD}");
        for begun in HEAD.len()..bytes.len() {
            let (first, rest) = bytes.as_bytes().split_at(begun);
            let mut heads = HeadEnds::default();
            assert_eq!(heads.up_to_second(first), begun);
            assert_eq!(heads.up_to_second(rest), 0, "{begun}");
            heads.end_step();
            assert_eq!(heads.up_to_second(rest), rest.len(), "{begun}");
        }
    }

    #[test]
    fn a_head_may_come_in_pieces() {
        let bytes = format!("{HEAD}{{}}{HEAD}");
        for begun in 0..HEAD.len() {
            let (first, rest) = bytes.as_bytes().split_at(begun);
            let mut heads = HeadEnds::default();
            assert_eq!(heads.up_to_second(first), begun);
            let cut = heads.up_to_second(rest);
            assert_eq!(cut, HEAD.len() - begun, "{begun}");
        }
    }
}
