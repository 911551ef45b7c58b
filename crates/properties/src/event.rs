use harkara_core::event::{Event, read};
use harkara_core::ids::EventId;
use harkara_core::projection::{Projection, project};

/// Ends a body in the input; it occurs in no JSON text.
pub(crate) const BODY_END: u8 = 0;

/// Maximum bodies taken from one input: every pair of them is folded.
const BODIES_MAX: usize = 4;

/// Any bodies can be read, each alike every time; and events in any order, each any number of times, leave
/// the same merged rows.
///
/// The input is bodies with `BODY_END` between them.
pub fn event(input: &[u8]) {
    let bodies = input.split(|&byte| byte == BODY_END).take(BODIES_MAX);
    let mut events = Vec::new();
    for (number, body) in bodies.enumerate() {
        let outcome = read(body);
        assert_eq!(outcome, read(body));
        match outcome {
            Ok(event) => events.push((EventId::stored(format!("evt{number}")), event)),
            Err(unprojectable) => assert!(!unprojectable.reason.to_string().is_empty()),
        }
    }
    let once = merged(&events);
    let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
    assert_eq!(merged(&twice), once);
    let backwards: Vec<_> = events.iter().rev().cloned().collect();
    assert_eq!(merged(&backwards), once);
    // A history has a row for each of its entities in each event, whatever else there is.
    assert_eq!(n_rows_of_history(&twice), 2 * n_rows_of_history(&events));
}

/// The rows that merge.
fn merged(events: &[(EventId, Event)]) -> Projection {
    let all = project(events.iter().map(|(id, event)| (id, event)));
    Projection {
        orders: all.orders,
        payments: all.payments,
        refunds: all.refunds,
        disputes: all.disputes,
        states: all.states,
        ..Projection::default()
    }
}

fn n_rows_of_history(events: &[(EventId, Event)]) -> usize {
    let all = project(events.iter().map(|(id, event)| (id, event)));
    all.downtimes.len()
        + all.invoices.len()
        + all.validations.len()
        + all.accounts.len()
        + all.payment_links.len()
        + all.notifications.len()
}
