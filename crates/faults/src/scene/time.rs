//! What time the servers believe it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::Scene;
use crate::recovery::connect;

/// A clock that is off by so much has jumped.
const WRONG_BY: Duration = Duration::from_mins(30);

impl Scene {
    /// Whether Redis or PostgreSQL lives by another clock than we do.
    pub(crate) async fn a_clock_is_wrong(&self) -> Result<bool> {
        let mut redis = self.redis.connection().await;
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let postgres = connect(&self.postgres.url()).await?;
        let row = postgres.query_one("SELECT clock_timestamp()", &[]).await?;
        let now = SystemTime::now();
        let is_wrong = |told: SystemTime| {
            let ahead = told.duration_since(now).unwrap_or_default();
            let behind = now.duration_since(told).unwrap_or_default();
            ahead.max(behind) > WRONG_BY
        };
        Ok(is_wrong(UNIX_EPOCH + Duration::from_secs(seconds)) || is_wrong(row.get(0)))
    }
}
