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
//! | requests that are given to the server before it has answered them | one |
//! | bytes of a body read before the request takes them | [`BODY_STEP_BYTES`] |
//! | bytes read and discarded after an answer that closes the connection | [`DISCARDED_BYTES_MAX`] |
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
mod head_ends;
mod in_request;
mod intake;
mod open_connections;
mod reason;

use std::time::Duration;

pub(crate) use accept::{Acceptor, ClientStream, NotServed, listener};
pub(crate) use in_request::InRequest;
pub(crate) use open_connections::OpenConnections;

/// Bytes of a head and what follows it that the server is given before it handles them.
const STEP_BYTES: usize = 4096;

/// The same of a body that does not declare its length. It may be followed by requests: 73 at most, as the smallest
/// (`A / HTTP/1.0` and two line feeds) has 14 bytes.
const CHUNKED_STEP_BYTES: usize = 1024;

/// Bytes for the request line and the separators of a head, beyond the names and values of its headers.
const REQUEST_LINE_BYTES: usize = 4096;

/// Bytes that the server is given of a body before the request takes them.
const BODY_STEP_BYTES: usize = 16_384;

/// Bytes that are still read after an answer that closes the connection, to a request whose body was not read.
const DISCARDED_BYTES_MAX: usize = 131_072;

/// How long a client may take no byte of its answers. Razorpay has given up on its request by then.
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// What the server has to answer a head that is too slow with 408 before the connection is closed.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How long a connection may stay open after the answer that closes it.
const CLOSE_MAX: Duration = Duration::from_secs(6);
