//! What is sent: statements lose their names and come with each execution, and transactions begin with their
//! settings.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::exchange::{Additions, Exchange};
use crate::wire::{HEADER_BYTES, message_bytes};

const PARSE: u8 = b'P';
const BIND: u8 = b'B';
const DESCRIBE: u8 = b'D';
const EXECUTE: u8 = b'E';
const CLOSE: u8 = b'C';
const SYNC: u8 = b'S';
const QUERY: u8 = b'Q';

/// The kind in `Describe` and `Close` that stands for a statement.
const STATEMENT: u8 = b'S';

/// What diesel sets for a session. The settings of each transaction have both.
const SET_FOR_SESSIONS: [&[u8]; 2] = [b"SET TIME ZONE 'UTC'", b"SET CLIENT_ENCODING TO 'UTF8'"];

/// An empty query without parameters, after the name in a `Parse`.
const EMPTY_QUERY: &[u8] = b"\0\0\0";

/// A query without parameters as messages of the extended protocol, to be executed unnamed.
pub(super) fn extended(query: &str) -> Bytes {
    let mut out = BytesMut::new();
    put(PARSE, &[b"\0", query.as_bytes(), EMPTY_QUERY], &mut out);
    // Portal and statement without names; no formats, no values, no formats of results.
    put(BIND, &[b"\0\0", &[0; 6]], &mut out);
    // The portal, and no limit of rows.
    put(EXECUTE, &[b"\0", &[0; 4]], &mut out);
    out.freeze()
}

impl Exchange {
    /// Puts what the driver sends into `out`.
    pub(super) fn send(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let unchanged = self.rest_to_send.min(bytes.len());
        out.extend_from_slice(&bytes[..unchanged]);
        self.rest_to_send -= unchanged;
        self.given.extend_from_slice(&bytes[unchanged..]);
        while !self.given.is_empty() && self.send_next(out).is_some() {
            let unchanged = self.rest_to_send.min(self.given.len());
            out.extend_from_slice(&self.given[..unchanged]);
            self.given.advance(unchanged);
            self.rest_to_send -= unchanged;
        }
    }

    /// Sends the next message, or its beginning with the rest to follow unchanged. `None` until enough of it is
    /// there.
    fn send_next(&mut self, out: &mut BytesMut) -> Option<()> {
        let whole = message_bytes(&self.given)?;
        match self.given[0] {
            PARSE => {
                let message = self.take(whole)?;
                self.parse(&message.slice(HEADER_BYTES..), out);
            }
            BIND => self.bind(whole, out)?,
            DESCRIBE | CLOSE => {
                let message = self.take(whole)?;
                self.describe_or_close(&message, out);
            }
            QUERY => {
                let added = if self.is_idle {
                    self.settings_text.clone()
                } else {
                    Bytes::new()
                };
                put_header(QUERY, whole - HEADER_BYTES + added.len(), out);
                out.extend_from_slice(&added);
                self.given.advance(HEADER_BYTES);
                self.rest_to_send = whole - HEADER_BYTES;
                self.due.push_back(Additions {
                    settings: self.is_idle,
                    statements: 0,
                });
            }
            SYNC => {
                self.rest_to_send = whole;
                self.due.push_back(std::mem::take(&mut self.unit).additions);
            }
            _ => self.rest_to_send = whole,
        }
        Some(())
    }

    /// Takes a message out of `given`, once it is whole.
    fn take(&mut self, whole: usize) -> Option<Bytes> {
        (whole <= self.given.len()).then(|| self.given.split_to(whole).freeze())
    }

    /// Sends the settings if the unit is a transaction of its own and has none yet.
    fn begin(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.unit.has_begun, true) && self.is_idle {
            out.extend_from_slice(&self.settings_messages);
            self.unit.additions.settings = true;
        }
    }

    /// Sends a `Parse` without its name, and keeps the statement under it.
    fn parse(&mut self, body: &Bytes, out: &mut BytesMut) {
        self.begin(out);
        let (name, mut statement) = name_and_rest(body);
        let (text, _) = name_and_rest(&statement);
        if SET_FOR_SESSIONS.contains(&text.as_ref()) {
            statement = Bytes::from_static(EMPTY_QUERY);
        }
        put(PARSE, &[b"\0", &statement], out);
        if !name.is_empty() {
            // Copied, so that they do not keep the buffer.
            let copied = [name, statement].map(|bytes| Bytes::copy_from_slice(&bytes));
            let [name, statement] = copied;
            self.statements.insert(name, statement);
        }
    }

    /// Sends a `Bind` after the statement that it names. Its values follow unchanged.
    fn bind(&mut self, whole: usize, out: &mut BytesMut) -> Option<()> {
        let body = self.given.get(HEADER_BYTES..)?;
        let end = |from: usize| Some(from + body.get(from..)?.iter().position(|byte| *byte == 0)?);
        let portal_end = end(0)?;
        let name_end = end(portal_end + 1)?;
        let values_at = HEADER_BYTES + name_end + 1;
        let name = &body[portal_end + 1..name_end];
        let Some(statement) = self.statements.get(name).cloned() else {
            self.rest_to_send = whole;
            return Some(());
        };
        let portal = Bytes::copy_from_slice(&body[..=portal_end]);
        self.begin(out);
        put(PARSE, &[b"\0", &statement], out);
        self.unit.additions.statements += 1;
        let values = whole.saturating_sub(values_at);
        put_header(BIND, portal.len() + 1 + values, out);
        out.extend_from_slice(&portal);
        out.put_u8(0);
        self.given.advance(values_at);
        self.rest_to_send = values;
        Some(())
    }

    /// Sends a `Describe` or a `Close` without the name of its statement. The driver describes a statement in the
    /// unit that prepares it.
    fn describe_or_close(&mut self, message: &Bytes, out: &mut BytesMut) {
        let (kind, body) = (message[0], &message[HEADER_BYTES..]);
        let named = body.split_first().filter(|(of, _)| **of == STATEMENT);
        let Some((_, name)) = named else {
            out.extend_from_slice(message);
            return;
        };
        if kind == CLOSE {
            let name = name.strip_suffix(b"\0").unwrap_or(name);
            self.statements.remove(name);
        }
        put(kind, &[&[STATEMENT, 0]], out);
    }
}

/// What is before the next zero byte, and what follows it.
fn name_and_rest(bytes: &Bytes) -> (Bytes, Bytes) {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    (
        bytes.slice(..end),
        bytes.slice((end + 1).min(bytes.len())..),
    )
}

fn put(kind: u8, body: &[&[u8]], out: &mut BytesMut) {
    put_header(kind, body.iter().map(|part| part.len()).sum(), out);
    for part in body {
        out.extend_from_slice(part);
    }
}

/// The header of a message with a body of this size. (The driver sends none of 4 GiB.)
fn put_header(kind: u8, body_bytes: usize, out: &mut BytesMut) {
    let length = u32::try_from(HEADER_BYTES - 1 + body_bytes).unwrap_or(u32::MAX);
    out.put_u8(kind);
    out.put_u32(length);
}
