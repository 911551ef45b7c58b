//! Endpoints: one for each webhook URL registered with Razorpay (per account, or test and live mode).

use std::fmt;
use std::sync::Arc;

/// Longest endpoint name in bytes: it is a path segment and a metric label.
pub const ENDPOINT_NAME_BYTES_MAX: usize = 64;

/// The name of an endpoint in the URL `/webhooks/razorpay/{endpoint}`.
///
/// One to 64 of `a-z`, `0-9`, `-` and `_`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(Arc<str>);

/// A text that is not an endpoint name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint name is 1 to {ENDPOINT_NAME_BYTES_MAX} of a-z, 0-9, '-' and '_'")]
pub struct InvalidEndpointName;

impl EndpointName {
    /// Parses an endpoint name.
    pub fn parse(name: &str) -> Result<Self, InvalidEndpointName> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > ENDPOINT_NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(InvalidEndpointName);
        }
        Ok(Self(name.into()))
    }

    /// The endpoint of `POST /webhooks/razorpay` without a name.
    #[must_use]
    pub fn default_name() -> Self {
        Self("default".into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EndpointName;

    #[test]
    fn names_are_safe_in_a_path_and_a_label() {
        assert!(EndpointName::parse("live-2_a").is_ok());
        for bad in ["", "Live", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(EndpointName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
