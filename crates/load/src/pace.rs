//! Waits for the next arrival, finer than the runtime's timer of a millisecond.

use std::io;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
pub(crate) use timer_fd::Ticker;

#[cfg(not(target_os = "linux"))]
pub(crate) use millisecond::Ticker;

/// A tick fine enough to measure latencies of a tenth of a millisecond. It costs the generator, and on an
/// idle machine its target too, a wake-up for every few deliveries.
pub const TICK_FINE: Duration = Duration::from_micros(50);

/// A tick for load on a machine that has other work to do.
pub const TICK_COARSE: Duration = Duration::from_millis(1);

#[cfg(target_os = "linux")]
mod timer_fd {
    use std::future::poll_fn;
    use std::pin::Pin;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::{AsyncRead, ReadBuf};
    use tokio::net::unix::pipe::Receiver;

    use super::{Duration, Instant, io};

    /// A kernel timer that the runtime polls like a connection.
    ///
    /// To the runtime it is the receiving end of a pipe, since both become readable. The type for other
    /// descriptors takes unsafe code.
    pub(crate) struct Ticker {
        timer: Receiver,
        tick: Duration,
    }

    /// A timer is read as a counter of 8 bytes. With room for more the runtime sees that nothing is left
    /// and need not read again.
    const COUNTER_ROOM: usize = 16;

    impl Ticker {
        pub(crate) fn new(tick: Duration) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            let timer = Receiver::from_owned_fd_unchecked(timer)?;
            Ok(Self { timer, tick })
        }

        /// Waits until `next`, but at least one tick.
        pub(crate) async fn wait_until(&mut self, next: Instant) -> io::Result<()> {
            let wait = next
                .saturating_duration_since(Instant::now())
                .max(self.tick);
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec::try_from(wait).map_err(io::Error::other)?,
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            let mut counter = [0; COUNTER_ROOM];
            poll_fn(|cx| Pin::new(&mut self.timer).poll_read(cx, &mut ReadBuf::new(&mut counter)))
                .await
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod millisecond {
    use super::{Duration, Instant, io};

    /// The runtime's own timer: arrivals come in groups a millisecond apart.
    pub(crate) struct Ticker {
        tick: Duration,
    }

    impl Ticker {
        pub(crate) fn new(tick: Duration) -> io::Result<Self> {
            Ok(Self { tick })
        }

        pub(crate) async fn wait_until(&mut self, next: Instant) -> io::Result<()> {
            let wait: Duration = next
                .saturating_duration_since(Instant::now())
                .max(self.tick);
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}
