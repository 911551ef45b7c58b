use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use harkara_testkit::full_pipe;
use prometheus_client::metrics::counter::Counter;

use super::{LineQueue, WAITING_BYTES_MAX};

/// Nothing here takes this long unless it hangs.
const BOUND: Duration = Duration::from_secs(30);

/// A queue that tells of dropped lines as `dropped <n>`.
fn queue(out: impl Write + Send + 'static) -> (Arc<LineQueue>, Counter) {
    let dropped = Counter::default();
    let own: Arc<OnceLock<Arc<LineQueue>>> = Arc::default();
    let told = own.clone();
    let tell = move |n| told.wait().add(format!("dropped {n}\n").as_bytes());
    let queue = LineQueue::start(out, dropped.clone(), tell).unwrap();
    own.set(queue.clone()).unwrap();
    (queue, dropped)
}

/// Adds lines on a thread of its own, so that a test fails instead of hanging if that blocks.
fn add(queue: &Arc<LineQueue>, lines: impl Iterator<Item = String> + Send + 'static) {
    let (added, when_added) = channel();
    let queue = queue.clone();
    thread::spawn(move || {
        for line in lines {
            queue.add(line.as_bytes());
        }
        added.send(())
    });
    when_added
        .recv_timeout(BOUND)
        .expect("nothing waits for the reader");
}

/// The lines that are read, as they come.
fn lines(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    lines
}

#[test]
fn a_reader_that_stands_still_blocks_nobody_and_then_learns_what_it_missed() {
    let (reader, writer) = full_pipe();
    let (queue, dropped) = queue(writer);
    // Several times as much as waits.
    let n_lines = 8 * WAITING_BYTES_MAX as u64 / 100;
    add(&queue, (0..n_lines).map(|n| format!("{n:099}\n")));
    assert!(dropped.get() > 0);
    let began = Instant::now();
    queue.finish(Duration::from_millis(100));
    assert!(began.elapsed() < BOUND);

    let lines = lines(reader);
    let (mut n_kept, mut n_told, mut latest) = (0, 0, 0);
    while n_kept + n_told < n_lines {
        let line = lines.recv_timeout(BOUND).unwrap();
        if let Some(n) = line.strip_prefix("dropped ") {
            n_told += n.parse::<u64>().unwrap();
        } else if !line.is_empty() {
            let n = line.parse::<u64>().unwrap();
            assert!(n_kept == 0 || n > latest, "{n} after {latest}");
            (latest, n_kept) = (n, n_kept + 1);
        }
    }
    assert_eq!(n_told, dropped.get());
    add(&queue, ["after\n".to_owned()].into_iter());
    assert_eq!(lines.recv_timeout(BOUND).unwrap(), "after");
}

#[test]
fn everything_is_written_at_the_end_if_the_reader_reads() {
    let (reader, writer) = io::pipe().unwrap();
    let (queue, _) = queue(writer);
    let lines = lines(reader);
    for n in 0..1000 {
        queue.add(format!("{n}\n").as_bytes());
    }
    queue.finish(BOUND);
    for n in 0..1000 {
        assert_eq!(lines.recv_timeout(BOUND).unwrap(), n.to_string());
    }
}

/// Fails until it is repaired.
struct Disk(Arc<OnceLock<io::PipeWriter>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.get() {
            Some(mut pipe) => pipe.write(bytes),
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted_and_told_once_they_can() {
    let (reader, writer) = io::pipe().unwrap();
    let disk = Arc::new(OnceLock::new());
    let (queue, dropped) = queue(Disk(disk.clone()));
    for n in 1..=3 {
        queue.add(b"lost\n");
        queue.finish(BOUND);
        assert_eq!(dropped.get(), n);
    }
    disk.set(writer).unwrap();
    let lines = lines(reader);
    queue.add(b"written\n");
    assert_eq!(lines.recv_timeout(BOUND).unwrap(), "written");
    assert_eq!(lines.recv_timeout(BOUND).unwrap(), "dropped 3");
}
