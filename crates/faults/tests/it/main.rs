//! Every fault in its short form, with the real binaries.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod short_form;
