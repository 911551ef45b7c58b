//! The benchmark as it is called: the real binary against real servers.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod quick_form;
