//! Connections through a pooler in transaction mode.
//!
//! PgBouncer, Supavisor, RDS Proxy and the like lend a session of the server for one transaction. The next
//! transaction may get another session, and somebody else gets this one: a prepared statement is then unknown or
//! another's, a setting is lost, a lock of the session stays for good. But the driver prepares statements under
//! names, and diesel keeps them.
//!
//! So the stream below the driver, [`TransactionScoped`], rewrites what it sends: each execution brings its
//! statement along, without a name, and each transaction begins with its settings. What it adds travels with
//! what is sent anyway, so nothing takes another round trip; but the server parses and plans every statement
//! anew. The rest of the crate uses no state of a session: its advisory locks belong to transactions.
//!
//! Such a pooler shows itself by the process id that it gives at the start, which is not that of the session
//! that answers ([`startup`]).

mod exchange;
mod incoming;
mod outgoing;
mod startup;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harkara_settings::Pooler;

pub(crate) use stream::TransactionScoped;

/// How a connection treats a pooler, and what it has found.
#[derive(Clone)]
pub(crate) struct PoolerLink {
    pooler: Pooler,
    /// The query that sets what each transaction needs.
    settings: Arc<str>,
    is_pooled: Arc<AtomicBool>,
}

impl PoolerLink {
    /// For one new connection.
    pub(crate) fn new(pooler: Pooler, settings: &Arc<str>) -> Self {
        Self {
            pooler,
            settings: settings.clone(),
            is_pooled: Arc::default(),
        }
    }

    /// Whether there is a pooler, once the connection is made.
    pub(crate) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Relaxed)
    }

    fn found(&self, is_pooled: bool) {
        self.is_pooled.store(is_pooled, Ordering::Relaxed);
    }
}
