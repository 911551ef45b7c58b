//! Outcomes of the requests to the webhook routes.

use std::num::NonZeroU64;

use strum::{EnumCount, IntoStaticStr, VariantArray};

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    Accepted,
    Rejected(Rejection),
}

/// Why a request was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Rejection {
    InvalidSignature,
    UnknownEndpoint,
    /// The body is, or declares to be, larger than the limit.
    TooLarge,
    HeadersTooLarge,
    /// The body did not arrive in time.
    Timeout,
    /// The client went away or broke the protocol before its body was complete.
    Incomplete,
    /// The client's address may not use the endpoint.
    Forbidden,
    RateLimited,
    /// The bodies of all requests together would need more memory than allowed.
    Overloaded,
    /// Neither Redis nor the inbox took the delivery.
    Unavailable,
}

/// A rejection and its `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) rejection: Rejection,
    /// Seconds after which to try again; `None` means the configured ones.
    pub(crate) retry_after_s: Option<NonZeroU64>,
}

impl From<Rejection> for Rejected {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            retry_after_s: None,
        }
    }
}

impl RequestOutcome {
    /// The number of outcomes.
    pub(crate) const COUNT: usize = 1 + Rejection::COUNT;

    /// Its place among the outcomes of the catalogue of metrics.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::Rejected(rejection) => 1 + rejection as usize,
        }
    }

    /// Its name in metrics and spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected(rejection) => rejection.into(),
        }
    }
}
