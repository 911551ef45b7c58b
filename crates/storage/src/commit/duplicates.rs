//! Deliveries of events that are already known.

use std::collections::BTreeMap;

use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::identify::KnownEvent;
use crate::StorageError;
use crate::record::EventRecord;
use crate::statement::{Rows, SqlText, Statement};
use crate::statement_times::Named;

/// Counts duplicates in the rows of their events. Rows are locked in order of their keys.
/// A row that retention has removed is skipped.
pub(super) async fn count(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    duplicates: &[(usize, KnownEvent)],
) -> Result<(), StorageError> {
    static TEXT: SqlText = SqlText::cut(
        "WITH counted AS (\
           SELECT id, 'epoch'::timestamptz + us * interval '1 microsecond' AS at, same_id, other_id \
           FROM ({}) AS i\
         ), locked AS MATERIALIZED (\
           SELECT e.razorpay_event_id, e.created_at FROM webhook_events e \
           JOIN counted c ON e.razorpay_event_id = c.id AND e.created_at = c.at \
           ORDER BY e.razorpay_event_id FOR UPDATE OF e\
         ) UPDATE webhook_events e \
         SET duplicates = least(e.duplicates + c.same_id, 2147483647), \
           other_id_duplicates = least(e.other_id_duplicates + c.other_id, 2147483647) \
         FROM counted c JOIN locked l ON l.razorpay_event_id = c.id AND l.created_at = c.at \
         WHERE e.razorpay_event_id = c.id AND e.created_at = c.at",
    );
    let mut counts: BTreeMap<(&str, i64), (i64, i64)> = BTreeMap::new();
    for (at, known) in duplicates {
        let (same_id, other_id) = counts
            .entry((known.event_id.as_str(), known.created_at_micros))
            .or_default();
        if records[*at].claimed.event_id.delivered() == known.event_id.delivered() {
            *same_id += 1;
        } else {
            *other_id += 1;
        }
    }
    let columns = Rows::of(&counts)
        .text("id", |((id, _), _)| Some(*id))
        .bigint("us", |((_, micros), _)| Some(*micros))
        .bigint("same_id", |(_, (same_id, _))| Some(*same_id))
        .bigint("other_id", |(_, (_, other_id))| Some(*other_id))
        .columns();
    Statement::<()>::new(&TEXT, columns)
        .execute(&mut &*connection)
        .named("count duplicates")
        .await
        .map(drop)
}
