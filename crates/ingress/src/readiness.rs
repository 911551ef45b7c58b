//! Whether the ingress can take deliveries: in Redis or in the inbox.

use std::sync::Arc;

use harkara_core::causes::with_causes;
use harkara_runtime::admin::Probe;
use harkara_streams::{Pool, ping};

use crate::breaker::Breaker;
use crate::inbox::Inbox;

/// The probes of Redis and of the inbox, if there is one. One that is up suffices: a process that is not
/// ready gets no requests, and one that can store deliveries anywhere must get them.
pub(crate) fn probes(breaker: Arc<Breaker>, pool: Pool, inbox: Option<Inbox>) -> Vec<Probe> {
    let mut probes = vec![redis(breaker, pool).or_another()];
    probes.extend(inbox.map(|inbox| postgres(inbox).or_another()));
    probes
}

/// Redis is up if the breaker is closed and it answers: without deliveries the breaker is late to open.
fn redis(breaker: Arc<Breaker>, pool: Pool) -> Probe {
    Probe::new("redis", move || {
        let reason = breaker.reason();
        let pool = pool.clone();
        async move {
            match reason {
                Some(reason) => Err(reason),
                None => ping(&pool).await.map_err(|error| with_causes(&error)),
            }
        }
    })
}

fn postgres(inbox: Inbox) -> Probe {
    Probe::new("postgres", move || {
        let inbox = inbox.clone();
        async move { inbox.ping().await.map_err(|error| with_causes(&error)) }
    })
}
