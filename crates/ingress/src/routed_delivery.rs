//! A verified delivery on its way to a store.

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::lane::Lane;

/// A verified delivery with its destination.
#[derive(Clone, Copy)]
pub(crate) struct RoutedDelivery<'a> {
    pub(crate) verified: &'a VerifiedDelivery,
    pub(crate) lane: Lane,
    /// Empty if the body has none.
    pub(crate) event_name: &'a str,
}
