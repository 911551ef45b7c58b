//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Each connection has a socket and a second handle to it.
const PER_CONNECTION: u64 = 2;

/// For listening, Redis, PostgreSQL, probes, metrics and the log.
const OTHERS: u64 = 256;

/// Raises the process's limit of open files as far as the system permits, and warns if that is not enough:
/// connections beyond it would wait to be accepted long before `ingress.connections_max`.
pub(crate) fn raise_limit(connections_max: usize) {
    let needed = (connections_max as u64).saturating_mul(PER_CONNECTION) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if is_enough(limit.current) {
        return;
    }
    let raised = Rlimit {
        current: Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed))),
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_err() || !is_enough(limit.maximum) {
        tracing::warn!(
            files.needed = needed,
            files.allowed = getrlimit(Resource::Nofile).current,
            "The limit of open files is too low for ingress.connections_max; raise it (`ulimit -n`, LimitNOFILE), or lower the setting."
        );
    }
}
