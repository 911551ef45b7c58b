//! The connections of the public port, and what one of them, or all together, may take.
//!
//! The server alone leaves several things without a bound: answers that a client does not read, the head of
//! a connection's second request, and connections that do nothing. A client without a valid signature
//! must not be able to hold memory or slots with any of them, so every byte passes through a
//! `BoundedStream`, and `OpenConnections` closes connections that exceed a bound:
//!
//! | bound | value |
//! |---|---|
//! | bytes of a head, with its request line | `ingress.header_bytes_max` and [`REQUEST_LINE_BYTES`] |
//! | time of a head, the first or a later one | `ingress.header_read_timeout_ms` and [`ANSWER_WAIT`] |
//! | bytes of requests that are answered before their answers are sent | [`STEP_BYTES`], for strangers [`STRANGER_STEP_BYTES`] |
//! | bytes of a body read before the request takes them | [`AHEAD_BYTES`] |
//! | time in which a client takes no byte of its answers | [`UNREAD_MAX`] |
//! | time from an answer that closes the connection to its end | [`CLOSE_MAX`] |
//! | idle time: before a valid signature | the same |
//! | idle time: after one | `ingress.keep_alive_ms` |
//! | connections of one address without a valid signature | `ingress.connections_per_address_max` |
//! | all connections | `ingress.connections_max` |

mod accept;
mod bounded_stream;
mod connection;
mod handshake_stream;
mod open_connections;
mod reason;

use std::time::Duration;

pub(crate) use accept::{Acceptor, ClientStream, NotServed, listener};
pub(crate) use connection::InRequest;
pub(crate) use open_connections::OpenConnections;

/// Bytes that the server is given of heads, and of what follows them, before it sends the answers, on
/// connections with a valid signature.
const STEP_BYTES: usize = 4096;

/// The same for strangers. It answers all requests in them, of which the smallest has 28 bytes, before it
/// closes the connection.
const STRANGER_STEP_BYTES: usize = 1024;

/// Bytes for the request line and the separators of a head, beyond the names and values of its headers.
const REQUEST_LINE_BYTES: usize = 4096;

/// Bytes that the server is given of a body, or of further requests, before the request in progress takes
/// them.
const AHEAD_BYTES: usize = 32_768;

/// How long a client may take no byte of its answers. Razorpay has given up on its request by then.
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// What the server has to answer a head that is too slow with 408 before the connection is closed.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How long a connection may stay open after the answer that closes it.
const CLOSE_MAX: Duration = Duration::from_secs(6);
