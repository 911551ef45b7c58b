//! Notices to the customer before a recurring payment is taken.

use super::{Bodies, Envelope, verb};
use crate::json::object;

/// How long after the notice the money may be taken.
const NOTICE_SECONDS: i64 = 86_400;

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let delivered = verb(name) == "delivered";
    let notification = object! {
        "id": random.id("notification_"),
        "entity": "notification",
        "order_id": random.id("order_"),
        "token_id": random.id("token_"),
        "delivered_at": delivered.then_some(now),
        "status": if delivered { "delivered" } else { "failed" },
        "payment_after": now + NOTICE_SECONDS,
    };
    bodies
        .envelope(name, now)
        .with("notification", notification)
        .with_time_inside_payload()
}
