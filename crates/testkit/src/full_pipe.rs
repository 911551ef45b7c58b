//! A log whose reader stands still.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};

use rustix::fs::{OFlags, fcntl_setfl};

/// A pipe that is full: whoever writes to it waits until something is read.
#[must_use]
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("two descriptors");
    let set = |flags| fcntl_setfl(&writer, flags).expect("a pipe has flags");
    set(OFlags::NONBLOCK);
    // First by pages, then what is left of the last one.
    for chunk in [&b"\n".repeat(4096)[..], b"\n"] {
        let error = loop {
            if let Err(error) = (&writer).write(chunk) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    set(OFlags::empty());
    (reader, writer)
}
