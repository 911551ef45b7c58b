//! Free ports.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::LaunchError;

/// The first port of the range; the system itself assigns ports above it.
const FIRST: u16 = 20_000;

/// Ports set aside for one process, and processes that have a share of their own.
const PER_PROCESS: u16 = 100;

/// A free port on 127.0.0.1.
///
/// It lies below the range from which the system assigns ports, and this process returns it only once, so
/// nothing else takes it while a server restarts.
pub fn free_port() -> Result<u16, LaunchError> {
    static RETURNED: AtomicU16 = AtomicU16::new(0);
    let share = u16::try_from(std::process::id() % u32::from(PER_PROCESS)).unwrap_or(0);
    let first = FIRST + share * PER_PROCESS;
    let next = || first + RETURNED.fetch_add(1, Ordering::Relaxed);
    std::iter::repeat_with(next)
        .take(PER_PROCESS.into())
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .ok_or(LaunchError::NoFreePort)
}
