//! Whether the ingress can take deliveries: by Redis, or else by the inbox.

use std::sync::Arc;

use harkara_runtime::admin::Probe;
use harkara_runtime::redis::pool;
use harkara_runtime::settings::RedisSettings;

use crate::breaker::Breaker;
use crate::inbox::Inbox;
use crate::rehearsal::takes_appends;

/// The probes of Redis and of the inbox, where there is one. One of them is enough: a process that is not
/// ready gets no requests, and one that can store deliveries somewhere must get them.
pub(crate) fn probes(
    settings: &RedisSettings,
    breaker: Arc<Breaker>,
    inbox: Option<Inbox>,
) -> Vec<Probe> {
    let mut probes = vec![redis(settings, breaker)];
    probes.extend(inbox.map(postgres));
    probes
}

/// Redis must take appends, and deliveries must go there.
fn redis(settings: &RedisSettings, breaker: Arc<Breaker>) -> Probe {
    let pool = pool(settings);
    let partition = settings.partition;
    Probe::one_of("redis", move || {
        let (pool, breaker) = (pool.clone(), breaker.clone());
        async move {
            takes_appends(&pool, partition).await?;
            breaker.reason().map_or(Ok(()), Err)
        }
    })
}

fn postgres(inbox: Inbox) -> Probe {
    Probe::one_of("postgres", move || {
        let inbox = inbox.clone();
        async move { inbox.ping().await.map_err(|error| error.full()) }
    })
}
