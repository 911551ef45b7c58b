//! The name of this process.

/// `<host name>-<process id>`. In Kubernetes the host name is the pod's.
#[must_use]
pub fn name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{host}-{}", std::process::id())
}
