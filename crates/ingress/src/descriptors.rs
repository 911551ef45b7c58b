//! As many file descriptors as the connections need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Each connection has a socket and a second handle to it.
const PER_CONNECTION: u64 = 2;

/// For listening, Redis, PostgreSQL, probes, metrics and the log.
const BESIDES: u64 = 256;

/// Raises the process's own limit of open files as far as the system lets it, and warns where that is
/// too little: connections beyond it would wait to be accepted long before `ingress.connections_max`.
pub(crate) fn allow_connections(connections_max: usize) {
    let needed = (connections_max as u64).saturating_mul(PER_CONNECTION) + BESIDES;
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
            "The system allows fewer open files than ingress.connections_max needs; raise the limit (`ulimit -n`, LimitNOFILE), or lower the setting."
        );
    }
}
