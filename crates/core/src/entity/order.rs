//! Orders.

use super::fields::entity;
use crate::ids::OrderId;
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// An order.
    Order = "order" {
        id: OrderId,
        status: Text,
        amount: Option<MinorUnits>,
        amount_paid: Option<MinorUnits>,
        amount_due: Option<MinorUnits>,
        currency: Option<Currency>,
        receipt: Option<Text>,
        offer_id: Option<Text>,
        attempts: Option<i64>,
        created_at: Option<EventTime>,
    }
    also { updated_at }
    latest { created_at, updated_at }
}
