//! Identifiers: one type for each kind, parsed by its prefix.

use std::fmt;

use compact_str::format_compact;

use crate::delivery::body_sha256;
use crate::signature::encode_hex;
use crate::text::Text;

/// Longest event id in bytes. Razorpay sends 14 characters; a derived id has 71.
pub const EVENT_ID_BYTES_MAX: usize = 128;

/// What the id of a delivery without the header begins with.
const DERIVED_PREFIX: &str = "sha256:";

/// What stands between a contested id and the digest of the body that came second.
const CONTESTED_MARK: u8 = b'~';

/// The identity that Razorpay gives an event, the same for every retry of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Text);

impl EventId {
    /// Reads an `X-Razorpay-Event-Id`: 1 to 128 visible ASCII characters after trimming, else `None`.
    ///
    /// The header is not signed, so a strange one says nothing about the body and must not refuse it.
    /// Ids of the forms that we derive ourselves are not taken from a header, so that nobody can
    /// occupy another body's.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        Self::from_entry(value.trim()).filter(|id| !id.0.starts_with(DERIVED_PREFIX))
    }

    /// Reads the id in a stream entry: one from a header, or one derived from the body.
    #[must_use]
    pub fn from_entry(value: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_graphic() && b != CONTESTED_MARK;
        let fits = !value.is_empty() && value.len() <= EVENT_ID_BYTES_MAX;
        (fits && value.bytes().all(allowed)).then(|| Self(value.into()))
    }

    /// The id of a delivery that came without one: `sha256:` and the digest of its body.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        Self(format_compact!(
            "{DERIVED_PREFIX}{}",
            encode_hex(&body_sha256(body))
        ))
    }

    /// The id of a second body that came under an id which another body already holds.
    ///
    /// The id header is not signed, so this can happen, and neither body may be lost. The whole digest
    /// is part of it, so no other body can have it.
    #[must_use]
    pub fn contested(&self, digest: &[u8; 32]) -> Self {
        let delivered = self.delivered();
        Self(format_compact!(
            "{delivered}{}{}",
            char::from(CONTESTED_MARK),
            encode_hex(digest)
        ))
    }

    /// The id as it was delivered: without what [`EventId::contested`] added.
    #[must_use]
    pub fn delivered(&self) -> &str {
        self.0
            .split(char::from(CONTESTED_MARK))
            .next()
            .unwrap_or_default()
    }

    /// An id that was read from our own stream or ledger.
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

/// Why a text is not the id of the entity it should name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id beginning with {prefix:?}")]
pub struct InvalidId {
    /// The prefix that this kind of id has.
    pub prefix: &'static str,
}

macro_rules! entity_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Text);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Reads the id of the entity itself. An id without any prefix gets its own (some bodies
            /// leave it out); one with another kind's prefix is an error.
            pub fn parse(id: &str) -> Result<Self, InvalidId> {
                if id.len() > $prefix.len() && id.starts_with($prefix) {
                    Ok(Self(id.into()))
                } else if !id.is_empty() && !id.contains('_') {
                    Ok(Self(format_compact!("{}{id}", $prefix)))
                } else {
                    Err(InvalidId { prefix: $prefix })
                }
            }

            /// Reads a reference to such an entity from another one. A reference that does not look
            /// right is kept as sent: it must not stop the entity that holds it.
            #[must_use]
            pub fn reference(id: &str) -> Option<Self> {
                (!id.is_empty()).then(|| Self::parse(id).unwrap_or_else(|_| Self(id.into())))
            }

            /// The id as text, with its prefix.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
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
    use super::{AccountId, EventId, OrderId};

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
    fn a_strange_reference_is_kept_as_sent() {
        assert_eq!(OrderId::reference("pay_1").unwrap().as_str(), "pay_1");
        assert_eq!(OrderId::reference(""), None);
    }

    #[test]
    fn a_contested_id_is_made_once_and_remembers_what_was_delivered() {
        let id = EventId::from_header("abc").unwrap();
        let contested = id.contested(&[7; 32]);
        assert_eq!(contested.contested(&[7; 32]), contested);
        assert_eq!(contested.delivered(), "abc");
        assert_eq!(EventId::from_entry(contested.as_str()), None);
    }

    #[test]
    fn a_header_that_is_no_id_is_ignored() {
        assert_eq!(EventId::from_header(" abc ").unwrap().as_str(), "abc");
        for bad in [
            "",
            "  ",
            "a b",
            "é",
            "a\u{7f}",
            "a~b",
            "sha256:00",
            &"x".repeat(129),
        ] {
            assert_eq!(EventId::from_header(bad), None, "{bad:?}");
        }
    }
}
