//! The start of a connection, and the question who answers.
//!
//! A server announces to each connection the process id of its session. A pooler has no session yet, so it announces
//! a number of its own; the session that later answers has another.

use bytes::BytesMut;

use crate::wire::{HEADER_BYTES, message_bytes};

const BACKEND_KEY_DATA: u8 = b'K';
const ERROR_RESPONSE: u8 = b'E';
const READY_FOR_QUERY: u8 = b'Z';
const DATA_ROW: u8 = b'D';
const PARAMETER_STATUS: u8 = b'S';

/// Asks for the process id, in a message of the simple protocol.
const QUESTION: &[u8] = b"Q\0\0\0\x1cSELECT pg_backend_pid()\0";

/// A connection that is being made.
pub(super) struct Startup {
    asks: bool,
    /// The process id that the other end announced.
    announced: Option<i32>,
    /// While the question is open, the message that makes the connection ready.
    withheld: Option<BytesMut>,
    /// The process id of the session that answered.
    answered: Option<i32>,
    /// The error that is the answer instead.
    error: BytesMut,
}

/// How far it has come.
pub(super) enum Step {
    /// It goes on.
    Unfinished,
    /// The connection is made.
    Made { is_pooled: bool },
}

impl Startup {
    /// One that asks whether there is a pooler.
    pub(super) fn asking() -> Self {
        Self {
            asks: true,
            announced: None,
            withheld: None,
            answered: None,
            error: BytesMut::new(),
        }
    }

    /// One through a pooler.
    pub(super) fn knowing() -> Self {
        Self {
            asks: false,
            ..Self::asking()
        }
    }

    /// Passes what has arrived to `ready`, and puts the question into `unsent`.
    pub(super) fn receive(
        &mut self,
        arrived: &mut BytesMut,
        ready: &mut BytesMut,
        unsent: &mut BytesMut,
    ) -> Step {
        while let Some(whole) = message_bytes(arrived)
            && whole <= arrived.len()
        {
            let message = arrived.split_to(whole);
            match (message[0], &self.withheld) {
                (READY_FOR_QUERY, None) if self.asks => {
                    unsent.extend_from_slice(QUESTION);
                    self.withheld = Some(message);
                }
                (READY_FOR_QUERY, _) => {
                    ready.extend_from_slice(self.withheld.as_deref().unwrap_or(&message));
                    return Step::Made {
                        is_pooled: self.is_pooled(),
                    };
                }
                (PARAMETER_STATUS, _) => ready.extend_from_slice(&message),
                (kind, None) => {
                    if kind == BACKEND_KEY_DATA {
                        self.announced = announced(&message);
                    }
                    ready.extend_from_slice(&message);
                }
                (DATA_ROW, Some(_)) => self.answered = answered(&message),
                // It says that it cannot be known, or why the connection ends.
                (ERROR_RESPONSE, Some(_)) => self.error = message,
                // The rest of the answer.
                (_, Some(_)) => {}
            }
        }
        Step::Unfinished
    }

    /// The error after which the connection has ended, if the question had one.
    pub(super) fn refusal(&mut self) -> BytesMut {
        std::mem::take(&mut self.error)
    }

    /// Whether the session that answered is another than the one that was announced, or is unknown.
    fn is_pooled(&self) -> bool {
        self.announced.is_none() || self.announced != self.answered
    }
}

/// The process id in a [`BACKEND_KEY_DATA`], which begins with it.
fn announced(message: &[u8]) -> Option<i32> {
    let id = message.get(HEADER_BYTES..HEADER_BYTES + 4)?;
    Some(i32::from_be_bytes(id.try_into().ok()?))
}

/// The process id in a row that has one column: their number, its length, its text.
fn answered(row: &[u8]) -> Option<i32> {
    const BEFORE_TEXT: usize = HEADER_BYTES + 2 + 4;
    let text = row.get(BEFORE_TEXT..)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
