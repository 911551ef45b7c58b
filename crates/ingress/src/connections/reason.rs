//! Why a connection was closed, or not admitted.

use strum::EnumCount;

/// The label of a metric, in the order of its values in `telemetry::catalogue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount)]
pub(super) enum Reason {
    /// Nothing came.
    Idle,
    /// The head of a request did not end in time, or is too large.
    Head,
    /// A request took longer than all of its bounds together.
    Request,
    /// The client took no answers.
    Unread,
    /// The client did not close after an answer that said so.
    Closing,
    /// A stranger's, to make room for others.
    Crowded,
    /// Its address had too many.
    Address,
    /// Its address is in no endpoint's list.
    Forbidden,
}
