//! One connection that many callers use at once, and that heals itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::ProtocolVersion;
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::settings::RedisSettings;

/// Attempts to reconnect, beyond the first, before the commands that wait for it fail.
const RECONNECT_RETRIES: usize = 1;

/// The wait before that second attempt (with jitter up to twice as long). It bounds how often a
/// busy process knocks on a server that is down.
const RECONNECT_WAIT: Duration = Duration::from_millis(100);

/// Commands that may wait to be written before callers have to wait themselves. A server thread
/// seldom has more requests than this in one turn of its event loop.
const PIPELINE_BUFFER_COMMANDS: usize = 1024;

/// A suspect connection is replaced at most this often, so that a server that refuses commands is
/// not flooded with connections too.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A shared connection. Commands are pipelined; none waits for another's answer.
///
/// The manager inside reconnects when a connection is lost. It does not when a server turned it
/// away while reconnecting (too many clients, a password being changed), nor when the server on the
/// other end is no longer the right one (a primary that became a replica behind one name): it would
/// give the same error for ever. Hence [`SharedConnection::suspect`].
pub struct SharedConnection {
    settings: RedisSettings,
    current: Mutex<Current>,
}

struct Current {
    manager: ConnectionManager,
    opened_at: Instant,
}

/// A shared connection that connects with the first command.
///
/// A command, the wait for a connection included, must be bounded by the caller: see
/// [`RedisSettings::response_timeout`]. (A timer inside would be a second one on the hot path.)
/// Must be called within a tokio runtime, and used within that runtime.
#[must_use]
pub fn connect_shared(settings: &RedisSettings) -> SharedConnection {
    SharedConnection {
        settings: settings.clone(),
        current: Mutex::new(Current {
            manager: open(settings),
            opened_at: Instant::now(),
        }),
    }
}

impl SharedConnection {
    /// A handle for one or more commands.
    pub fn handle(&self) -> ConnectionManager {
        self.current().manager.clone()
    }

    /// To be called after a command failed or timed out, whatever the error: the next handle may
    /// then be of a new connection. Commands in flight on the old one are not disturbed.
    pub fn suspect(&self) {
        let mut current = self.current();
        if current.opened_at.elapsed() >= RENEW_EVERY {
            *current = Current {
                manager: open(&self.settings),
                opened_at: Instant::now(),
            };
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(settings: &RedisSettings) -> ConnectionManager {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        .set_response_timeout(None)
        .set_number_of_retries(RECONNECT_RETRIES)
        .set_min_delay(RECONNECT_WAIT)
        .set_pipeline_buffer_size(PIPELINE_BUFFER_COMMANDS);
    // With RESP3 the manager learns of a lost connection at once, not with the next command.
    let client = super::client(settings, ProtocolVersion::RESP3);
    ConnectionManager::new_lazy_with_config(client, config)
        .expect("a lazy connection without subscriptions cannot fail")
}
