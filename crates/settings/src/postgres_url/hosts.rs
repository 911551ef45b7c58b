//! The hosts that a URL names.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// Checks that all of them can be used as the URL says. Returns whether the only one is a Unix socket.
pub(super) fn check(config: &Config) -> Result<bool, &'static str> {
    let hosts = config.get_hosts();
    let (addresses, ports) = (config.get_hostaddrs().len(), config.get_ports().len());
    let total = hosts.len().max(addresses);
    let has_socket = hosts.iter().any(|host| matches!(host, Host::Unix(_)));
    if total == 0 {
        return Err(
            "names no host; write it before the database, or name the folder of a Unix socket: \
             postgres://user:password@/database?host=/run/postgresql",
        );
    }
    if has_socket && hosts.len() + addresses > 1 {
        return Err(
            "names a Unix socket beside another host; name only one of them. The folder of a socket is named by the \
             parameter host alone: postgres://user:password@/database?host=/run/postgresql",
        );
    }
    if has_socket && config.get_target_session_attrs() != TargetSessionAttrs::Any {
        return Err(
            "has the parameter target_session_attrs, which chooses among hosts, and a Unix socket is only one; remove it",
        );
    }
    if addresses > 0 && !hosts.is_empty() && addresses != hosts.len() {
        return Err(
            "names more or fewer hostaddr than hosts; give each host one, separated by commas",
        );
    }
    if ports > 1 && ports != total {
        return Err(
            "names more or fewer ports than hosts; write each port behind its host: one:5432,two:5433",
        );
    }
    Ok(has_socket)
}
