//! Identifiers: one type for each kind, parsed by prefix.

use std::fmt;

use compact_str::format_compact;

use crate::delivery::body_sha256;
use crate::text::Text;

/// Longest event id in bytes. Razorpay sends 14; a derived id has 71.
pub const EVENT_ID_BYTES_MAX: usize = 128;

/// Prefix of the ids of deliveries without the header.
const DERIVED_PREFIX: &str = "sha256:";

/// Separates a contested id from the digest of the second body.
const CONTESTED_MARK: u8 = b'~';

/// The id that Razorpay gives an event, the same in every retry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Text);

impl EventId {
    /// Reads an `X-Razorpay-Event-Id`: 1 to 128 visible ASCII characters after trimming, else `None`.
    ///
    /// The header is not signed, so a malformed one must not refuse the body. Ids of the forms derived here
    /// are not accepted from a header, so that nobody can occupy another body's.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        Self::from_entry(value.trim()).filter(|id| !id.0.starts_with(DERIVED_PREFIX))
    }

    /// Reads the id of a stream entry: from a header, or derived from the body.
    #[must_use]
    pub(crate) fn from_entry(value: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_graphic() && b != CONTESTED_MARK;
        let fits = !value.is_empty() && value.len() <= EVENT_ID_BYTES_MAX;
        (fits && value.bytes().all(allowed)).then(|| Self(value.into()))
    }

    /// The id of a delivery without one: `sha256:` and the digest of its body.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        Self(format_compact!(
            "{DERIVED_PREFIX}{}",
            const_hex::encode(body_sha256(body))
        ))
    }

    /// The id of a second body under an id that another body already holds.
    ///
    /// The id header is not signed, so this can happen, and neither body may be lost. The id contains the
    /// whole digest, so no other body can have it.
    #[must_use]
    pub fn contested(&self, digest: &[u8; 32]) -> Self {
        let delivered = self.delivered();
        Self(format_compact!(
            "{delivered}{}{}",
            char::from(CONTESTED_MARK),
            const_hex::encode(digest)
        ))
    }

    /// The id as delivered, without the suffix of [`EventId::contested`].
    #[must_use]
    pub fn delivered(&self) -> &str {
        self.0
            .split(char::from(CONTESTED_MARK))
            .next()
            .unwrap_or_default()
    }

    /// An id read from our own stream or ledger.
    #[must_use]
    pub fn stored(value: impl Into<Text>) -> Self {
        Self(value.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id beginning with {prefix:?}")]
pub(crate) struct InvalidId {
    pub(crate) prefix: &'static str,
}

/// An id of one kind of entity.
pub(crate) trait EntityId: Sized {
    /// The prefix of every id of this kind.
    const PREFIX: &'static str;

    /// Wraps an id that is complete.
    fn wrap(id: Text) -> Self;

    /// Parses the entity's own id. An id without any prefix gets its own (some bodies omit it); one with
    /// another prefix is an error.
    fn parse(id: &str) -> Result<Self, InvalidId> {
        let prefix = Self::PREFIX;
        if id.len() > prefix.len() && id.starts_with(prefix) {
            Ok(Self::wrap(id.into()))
        } else if !id.is_empty() && !id.contains('_') {
            Ok(Self::wrap(format_compact!("{prefix}{id}")))
        } else {
            Err(InvalidId { prefix })
        }
    }

    /// Reads a reference to such an entity. An unexpected one is kept as sent: it must not stop the entity
    /// that holds it.
    fn reference(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self::parse(id).unwrap_or_else(|_| Self::wrap(id.into())))
    }
}

macro_rules! entity_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Text);

        impl $name {
            /// The id as text, with its prefix.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl EntityId for $name {
            const PREFIX: &'static str = $prefix;

            fn wrap(id: Text) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

entity_ids! {
    /// A merchant's account.
    AccountId = "acc_";
    /// A payment.
    PaymentId = "pay_";
    /// An order.
    OrderId = "order_";
    /// A refund.
    RefundId = "rfnd_";
    /// A dispute.
    DisputeId = "disp_";
    /// A payment downtime.
    DowntimeId = "down_";
    /// An invoice.
    InvoiceId = "inv_";
    /// A fund account validation.
    ValidationId = "fav_";
    /// A payment link.
    PaymentLinkId = "plink_";
    /// A pre-debit notification of an order.
    NotificationId = "notification_";
}

#[cfg(test)]
mod tests {
    use super::{AccountId, EntityId, EventId, OrderId};

    #[test]
    fn an_id_without_prefix_gets_its_own_and_a_foreign_one_is_refused() {
        assert_eq!(
            OrderId::parse("QflczVVaNJciLq").unwrap().as_str(),
            "order_QflczVVaNJciLq"
        );
        assert_eq!(OrderId::parse("order_1").unwrap().as_str(), "order_1");
        assert_eq!(AccountId::parse("acc_1").unwrap().as_str(), "acc_1");
        for bad in ["", "order_", "pay_1"] {
            assert!(OrderId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_unexpected_reference_is_kept_as_sent() {
        assert_eq!(OrderId::reference("pay_1").unwrap().as_str(), "pay_1");
        assert_eq!(OrderId::reference(""), None);
    }

    #[test]
    fn a_contested_id_keeps_the_delivered_one() {
        let id = EventId::from_header("abc").unwrap();
        let contested = id.contested(&[7; 32]);
        assert_eq!(contested.contested(&[7; 32]), contested);
        assert_eq!(contested.delivered(), "abc");
        assert_eq!(EventId::from_entry(contested.as_str()), None);
    }

    #[test]
    fn a_malformed_header_is_ignored() {
        assert_eq!(EventId::from_header(" abc ").unwrap().as_str(), "abc");
        let long = "x".repeat(129);
        for bad in ["", "  ", "a b", "é", "a\u{7f}", "a~b", "sha256:00", &long] {
            assert_eq!(EventId::from_header(bad), None, "{bad:?}");
        }
    }
}
