//! A port for a server of a test's own.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port below the range from which the system takes ports itself, and given out only once, so that
/// nothing else takes it between two starts of a server.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN_OUT: AtomicU16 = AtomicU16::new(0);
    let first =
        20_000 + u16::try_from(std::process::id() % 100).expect("a remainder is small") * 100;
    let next = || first + GIVEN_OUT.fetch_add(1, Ordering::Relaxed);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(next)
        .take(100)
        .find(is_free)
        .expect("one of a hundred ports is free")
}
