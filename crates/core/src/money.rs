//! Money as Razorpay sends it.

use crate::text::Text;

/// An amount in the currency's smallest unit: paise for INR (₹1.00 is 100), yen for JPY, a thousandth of a
/// dinar for KWD. The entity has the currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinorUnits(pub i64);

/// A currency code as Razorpay sends it (ISO 4217, three letters).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Currency(Text);

impl Currency {
    /// A code as sent, in upper case.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self(code.to_ascii_uppercase().into())
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
