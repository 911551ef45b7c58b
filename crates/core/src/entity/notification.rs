//! Pre-debit notifications of orders.

use super::fields::entity;
use crate::ids::{NotificationId, OrderId};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// A notice to a customer before a recurring payment is debited.
    Notification = "notification" {
        id: NotificationId,
        order_id: Option<OrderId>,
        token_id: Option<Text>,
        status: Text,
        delivered_at: Option<EventTime>,
        payment_after: Option<EventTime>,
    }
    also { created_at }
    latest { created_at, delivered_at }
}
