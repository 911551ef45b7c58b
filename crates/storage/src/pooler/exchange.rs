//! What is sent through a pooler, and what comes back.
//!
//! The driver sends units that end with `Sync` or are a simple query, and the server ends its answer to each with
//! `ReadyForQuery`. Outside of a transaction each unit is a transaction of its own. A unit that follows `COMMIT` is
//! sent only after its answer, so that it is known to be one of these.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::outgoing::extended;

/// The two directions of a connection through a pooler.
pub(super) struct Exchange {
    /// The settings of a transaction, before the text of a simple query.
    pub(super) settings_text: Bytes,
    /// The same as messages of the extended protocol.
    pub(super) settings_messages: Bytes,
    /// The statements that the driver has prepared, by name: what follows the name in their `Parse`.
    pub(super) statements: HashMap<Bytes, Bytes>,
    /// Whether the last answer left no transaction open.
    pub(super) is_idle: bool,
    /// The unit that the driver is sending.
    pub(super) unit: Unit,
    /// The answers that are due, the next one first.
    pub(super) due: VecDeque<Additions>,
    /// What the driver has given and was not sent: the beginning of a message.
    pub(super) given: BytesMut,
    /// Bytes of the current message that are still to be sent unchanged.
    pub(super) rest_to_send: usize,
    /// Bytes of the current answer that are still to come, and whether they are for the driver.
    pub(super) rest_to_come: usize,
    pub(super) is_for_driver: bool,
}

/// A unit that is being sent.
#[derive(Default)]
pub(super) struct Unit {
    /// Whether a message of it may have needed the settings.
    pub(super) has_begun: bool,
    pub(super) additions: Additions,
}

/// What a unit has besides what the driver sent. The answers to these are not for the driver. A unit of the driver
/// executes one statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Additions {
    /// The settings, at its beginning.
    pub(super) settings: bool,
    /// Statements that the driver had prepared before.
    pub(super) statements: usize,
}

impl Exchange {
    /// One that begins outside of a transaction. `settings` is a query.
    pub(super) fn new(settings: &str) -> Self {
        Self {
            settings_text: format!("{settings}; ").into(),
            settings_messages: extended(settings),
            statements: HashMap::new(),
            is_idle: true,
            unit: Unit::default(),
            due: VecDeque::new(),
            given: BytesMut::new(),
            rest_to_send: 0,
            rest_to_come: 0,
            is_for_driver: true,
        }
    }
}

#[cfg(test)]
mod tests;
