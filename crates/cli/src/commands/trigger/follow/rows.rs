//! The rows that an event changed, on parts of lines.

use harkara_storage::ledger::Change;

/// Tables in the order in which they are told: what an event is about comes before what it touches,
/// and the present state of an entity whose table is a history comes last.
const LAST: [&str; 3] = ["payment_orders", "payment_transactions", "entity_snapshots"];

/// `payment_orders(paid) payment_transactions(captured)`, on as many lines as they need: each holds as
/// many rows as fit into `characters_max`, and at least one.
pub(super) fn lines(changes: &[Change], characters_max: usize) -> Vec<String> {
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by_key(|change| {
        LAST.iter()
            .position(|table| *table == change.table_name)
            .map_or(0, |at| at + 1)
    });
    let mut lines: Vec<String> = Vec::new();
    for row in changes.into_iter().map(row) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + row.chars().count() <= characters_max => {
                line.push(' ');
                line.push_str(&row);
            }
            _ => lines.push(row),
        }
    }
    lines
}

fn row(change: &Change) -> String {
    match &change.to_status {
        Some(status) => format!("{}({status})", change.table_name),
        None => change.table_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, lines};

    fn change(table: &str, status: &str) -> Change {
        Change {
            razorpay_event_id: "e".to_owned(),
            table_name: table.to_owned(),
            entity_id: "x".to_owned(),
            from_status: None,
            to_status: Some(status.to_owned()),
        }
    }

    #[test]
    fn what_the_event_is_about_comes_first_and_every_row_is_told() {
        let changes = [
            change("entity_snapshots", "paid"),
            change("payment_transactions", "captured"),
            change("payment_orders", "paid"),
            change("invoice_events", "paid"),
        ];
        let whole = "invoice_events(paid) payment_orders(paid) payment_transactions(captured) entity_snapshots(paid)";
        assert_eq!(lines(&changes, 100), [whole]);
        assert_eq!(
            lines(&changes, 50),
            [
                "invoice_events(paid) payment_orders(paid)",
                "payment_transactions(captured)",
                "entity_snapshots(paid)"
            ]
        );
        assert_eq!(lines(&changes, 5).len(), 4);
        assert_eq!(lines(&[], 50), [""; 0]);
    }
}
