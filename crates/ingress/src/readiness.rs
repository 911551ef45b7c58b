//! Whether the ingress can take deliveries: by Redis, or else by the inbox.

use std::sync::Arc;

use harkara_runtime::admin::Probe;

use crate::breaker::Breaker;
use crate::inbox::Inbox;

/// The probes of Redis and of the inbox, where there is one. One of them is enough: a process that is not
/// ready gets no requests, and one that can store deliveries somewhere must get them.
pub(crate) fn probes(breaker: Arc<Breaker>, inbox: Option<Inbox>) -> Vec<Probe> {
    let mut probes = vec![redis(breaker)];
    probes.extend(inbox.map(postgres));
    probes
}

/// Deliveries must go there. The breaker knows that by every append and by the look of every second, so
/// nobody is asked.
fn redis(breaker: Arc<Breaker>) -> Probe {
    Probe::one_of("redis", move || {
        let reason = breaker.reason();
        async move { reason.map_or(Ok(()), Err) }
    })
}

fn postgres(inbox: Inbox) -> Probe {
    Probe::one_of("postgres", move || {
        let inbox = inbox.clone();
        async move { inbox.ping().await.map_err(|error| error.full()) }
    })
}
