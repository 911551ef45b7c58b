//! What comes back: answers to what was added are left out.

use bytes::{Buf, BytesMut};

use super::exchange::{Additions, Exchange};
use crate::wire::{HEADER_BYTES, message_bytes};

const READY_FOR_QUERY: u8 = b'Z';
const ERROR_RESPONSE: u8 = b'E';
const NOTICE_RESPONSE: u8 = b'N';
const PARAMETER_STATUS: u8 = b'S';
const NOTIFICATION_RESPONSE: u8 = b'A';
const COMMAND_COMPLETE: u8 = b'C';
const PARSE_COMPLETE: u8 = b'1';

/// The status of [`READY_FOR_QUERY`] outside of a transaction.
const IDLE: u8 = b'I';

impl Exchange {
    /// Moves what has arrived to `ready`, as far as it is for the driver.
    pub(super) fn receive(&mut self, arrived: &mut BytesMut, ready: &mut BytesMut) {
        while !arrived.is_empty() {
            if self.rest_to_come == 0 {
                let Some(whole) = message_bytes(arrived) else {
                    return;
                };
                if arrived[0] == READY_FOR_QUERY && arrived.len() < whole {
                    return;
                }
                self.is_for_driver = self.is_for_driver(arrived);
                self.rest_to_come = whole;
            }
            let part = self.rest_to_come.min(arrived.len());
            if self.is_for_driver {
                ready.extend_from_slice(&arrived[..part]);
            }
            arrived.advance(part);
            self.rest_to_come -= part;
        }
    }

    /// Whether the message that begins here is for the driver.
    fn is_for_driver(&mut self, message: &[u8]) -> bool {
        let Some(added) = self.due.front_mut() else {
            return true;
        };
        match message[0] {
            NOTICE_RESPONSE | PARAMETER_STATUS | NOTIFICATION_RESPONSE => true,
            READY_FOR_QUERY => {
                self.is_idle = message.get(HEADER_BYTES) == Some(&IDLE);
                self.due.pop_front();
                true
            }
            // The server skips the rest of the unit.
            ERROR_RESPONSE => {
                *added = Additions::default();
                true
            }
            kind if added.settings => {
                added.settings = kind != COMMAND_COMPLETE;
                false
            }
            PARSE_COMPLETE if added.statements > 0 => {
                added.statements -= 1;
                false
            }
            _ => true,
        }
    }
}
