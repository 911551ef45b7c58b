//! The lines that wait for the reader of standard error.
//!
//! A reader that stands still, such as a stuck log shipper behind a full pipe, blocks whoever writes. Here that is
//! one thread, which does nothing else.
//!
//! `tracing-appender` does not serve here. Its queue is bounded in lines, not in bytes, nothing tells of what it
//! dropped, and at the end of a process whose queue is full it prints to standard output, which may be the same pipe.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// Maximum bytes of lines that wait; further lines are dropped. As many again may be on their way to the reader. It
/// is some 5,000 lines, far more than a process logs in a second.
pub(super) const WAITING_BYTES_MAX: usize = 1 << 20;

/// How often a full pipe is tried again that refuses writes instead of blocking them: `O_NONBLOCK` is set if
/// another process that shares it did so.
const ROOM_CHECK_EVERY: Duration = Duration::from_millis(20);

/// Lines for one reader. Adding one never waits for the reader.
#[derive(Debug)]
pub(super) struct LineQueue {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whole lines.
    bytes: Vec<u8>,
    lines: u64,
    /// Dropped lines of which the log says nothing yet.
    untold: u64,
    /// Whether the thread is writing lines that it took.
    is_writing: bool,
    /// Whether the latest write failed: the reader has gone, or the disk is full.
    is_broken: bool,
}

impl LineQueue {
    /// Starts the thread that writes the lines to `out`. When `out` takes lines again, `tell` is called on that
    /// thread with the number of lines dropped; a line that it adds is the first after the gap.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        dropped: Counter,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped,
        });
        let own = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || own.write_lines(out, tell))?;
        Ok(queue)
    }

    /// Adds a line, or drops and counts it if too many wait.
    pub(super) fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > WAITING_BYTES_MAX {
            waiting.untold += 1;
            self.dropped.inc();
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.lines += 1;
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until every line is written, at most this long. Returns whether they are; otherwise they are lost if
    /// the reader does not read.
    pub(super) fn finish(&self, within: Duration) -> bool {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || waiting.has_work();
        let waited = self
            .emptied
            .wait_timeout_while(self.lock(), within, is_busy);
        waited.is_ok_and(|(_, waited)| !waited.timed_out())
    }

    fn write_lines(&self, mut out: impl Write, tell: impl Fn(u64)) {
        let mut lines = Vec::new();
        loop {
            let (n_lines, untold) = self.take(&mut lines);
            if untold > 0 {
                tell(untold);
            }
            let written = write_whole(&mut out, &lines);
            lines.clear();
            let mut waiting = self.lock();
            waiting.is_writing = false;
            waiting.is_broken = written.is_err();
            if waiting.is_broken {
                waiting.untold += n_lines;
                self.dropped.inc_by(n_lines);
            }
            if !waiting.has_work() {
                self.emptied.notify_all();
            }
        }
    }

    /// Waits for lines and exchanges them for `written`, which is empty. Returns their number, and how many were
    /// dropped after them.
    fn take(&self, written: &mut Vec<u8>) -> (u64, u64) {
        let is_idle = |waiting: &mut Waiting| !waiting.has_work();
        let waited = self.filled.wait_while(self.lock(), is_idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.is_writing = true;
        mem::swap(&mut waiting.bytes, written);
        let untold = if waiting.is_broken {
            0
        } else {
            mem::take(&mut waiting.untold)
        };
        (mem::take(&mut waiting.lines), untold)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code under the lock leaves it in an invalid state.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_work(&self) -> bool {
        // While writes fail, telling of it would fail too.
        !self.bytes.is_empty() || (self.untold > 0 && !self.is_broken)
    }
}

fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ROOM_CHECK_EVERY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
