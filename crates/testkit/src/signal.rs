//! Signals to processes that a test has started.

pub use rustix::process::Signal;
use tokio::process::Child;

/// Sends a signal to a child that was not waited for yet.
pub fn send_signal(child: &Child, signal: Signal) {
    let id = child.id().expect("the child was not waited for");
    harkara_launcher::send(id, signal).expect("a child can be signalled");
}
