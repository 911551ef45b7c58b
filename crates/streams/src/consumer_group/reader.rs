//! Reads new entries.

use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_settings::RedisSettings;
use redis::Value;

use super::{ClaimedEntry, Group, claimed_entries, reply};
use crate::group_error::GroupError;
use crate::limited_connection::LimitedConnection;

/// The connection that reads new entries. Nothing else uses it, because a blocking read delays every command
/// behind it.
pub struct Reader(LimitedConnection);

/// The bounds of one read.
#[derive(Clone, Copy, Debug)]
pub struct ReadBounds {
    /// Maximum entries of each lane.
    pub entries: usize,
    /// Maximum bytes of the whole reply; `None` for a single entry of each lane, which is read whatever its size.
    pub reply_bytes: Option<usize>,
    /// How long to wait for the first entry; `None` does not wait.
    pub block: Option<Duration>,
}

impl Group {
    /// Connects for reads that wait up to `read_wait`. The address may lead to another server than before, so this
    /// checks whose its streams are.
    pub async fn reader(
        &self,
        settings: &RedisSettings,
        read_wait: Duration,
    ) -> Result<Reader, GroupError> {
        let connected = LimitedConnection::open(settings, read_wait).await;
        let mut connected = connected.map_err(GroupError::of("connect"))?;
        self.check_owner_over(connected.unlimited()).await?;
        Ok(Reader(connected))
    }

    /// Claims new entries of each lane.
    ///
    /// Redis bounds a reply in entries only. Beyond `reply_bytes` this stops to receive, closes the connection
    /// and fails with [`GroupError::ReplyTooLarge`]; the entries are then pending with this consumer, which
    /// has not seen them. Likewise with [`GroupError::Foreign`], if the streams became another deployment's.
    pub async fn read(
        &self,
        reader: &mut Reader,
        lanes: &[Lane],
        bounds: ReadBounds,
    ) -> Result<Vec<ClaimedEntry>, GroupError> {
        self.known_owner()?;
        let mut read = self.xreadgroup(bounds.entries);
        if let Some(block) = bounds.block {
            // 0 would block forever.
            read.arg("BLOCK").arg(block.as_millis().max(1).to_string());
        }
        read.arg("STREAMS");
        for lane in lanes {
            read.arg(self.key(*lane));
        }
        for _ in lanes {
            read.arg(">");
        }
        let operation = "XREADGROUP";
        let reply: Value = match reader.0.ask(&read, bounds.reply_bytes).await {
            Ok(reply) => reply,
            Err(_) if reader.0.is_exceeded() => {
                return Err(GroupError::ReplyTooLarge { operation });
            }
            Err(error) => return Err(GroupError::of(operation)(error)),
        };
        self.known_owner()?;
        let streams = reply::streams(reply).ok_or(GroupError::UnexpectedReply { operation })?;
        let mut claimed = Vec::new();
        for (key, entries) in streams {
            let lane = self
                .lane(&key)
                .ok_or(GroupError::UnexpectedReply { operation })?;
            claimed.extend(claimed_entries(lane, entries));
        }
        Ok(claimed)
    }
}
