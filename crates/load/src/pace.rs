//! Waiting for the next arrival, finer than the runtime's timer of a millisecond.

use std::io;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
pub(crate) use timer_fd::Ticker;

#[cfg(not(target_os = "linux"))]
pub(crate) use millisecond::Ticker;

/// Shortest time between two looks at the clock: at high rates several arrivals share one, each late
/// by less than this.
const TICK_MIN: Duration = Duration::from_micros(50);

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

    use super::{Instant, TICK_MIN, io};

    /// A timer of the kernel that the runtime watches like a connection.
    ///
    /// To the runtime it is the receiving end of a pipe, which comes to the same: it becomes
    /// readable. The type for any other descriptor takes unsafe code.
    pub(crate) struct Ticker(Receiver);

    /// A timer is read as a counter of 8 bytes. With room for more the runtime sees that nothing is
    /// left, and need not read again to find out.
    const COUNTER_ROOM: usize = 16;

    impl Ticker {
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
        }

        /// Waits until `next`, but at least [`TICK_MIN`].
        pub(crate) async fn wait_until(&mut self, next: Instant) -> io::Result<()> {
            let wait = next.saturating_duration_since(Instant::now()).max(TICK_MIN);
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec::try_from(wait).map_err(io::Error::other)?,
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            let mut counter = [0; COUNTER_ROOM];
            poll_fn(|cx| Pin::new(&mut self.0).poll_read(cx, &mut ReadBuf::new(&mut counter))).await
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod millisecond {
    use super::{Duration, Instant, TICK_MIN, io};

    /// The runtime's own timer: arrivals come in groups a millisecond apart.
    pub(crate) struct Ticker;

    impl Ticker {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn wait_until(&mut self, next: Instant) -> io::Result<()> {
            let wait: Duration = next.saturating_duration_since(Instant::now()).max(TICK_MIN);
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}
