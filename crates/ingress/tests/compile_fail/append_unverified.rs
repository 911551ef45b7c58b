//! A delivery whose signature was not verified cannot be appended.

use harkara_core::delivery::Delivery;
use harkara_core::lane::Lane;
use harkara_streams::append::Appender;

async fn append(appender: &Appender, delivery: &Delivery<'_>) {
    drop(appender.append(delivery, Lane::Default, "order.paid").await);
}

fn main() {}
