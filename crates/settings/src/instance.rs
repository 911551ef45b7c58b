//! The name of this process among its like.

/// The host's name, which in Kubernetes is the pod's, and the process id.
#[must_use]
pub fn name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{host}-{}", std::process::id())
}
