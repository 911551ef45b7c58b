//! This worker's place in the consumer group: it shows life, checks whose the streams are, renews claims and
//! leaves.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::lane::Lane;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::Group;

use crate::active_claims::ActiveClaims;

/// Renewals within one claim time: two may fail before an entry looks abandoned.
const RENEWALS_PER_CLAIM_TIME: u32 = 3;

/// Maximum ids in one renewal command.
const IDS_PER_RENEWAL: usize = 1000;

#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) group: Arc<Group>,
    pub(crate) claims: Arc<ActiveClaims>,
    pub(crate) claim_idle: Duration,
}

impl Membership {
    /// Renews all claims, and sends a heartbeat even if there are none, until dropped. A lost mark of the deployment
    /// is written again; a foreign one ends the worker.
    pub(crate) async fn keep(self) {
        loop {
            if let Err(error) = self.group.heartbeat().await {
                tracing::debug!(error = with_causes(&error), "Could not send a heartbeat.");
            }
            if let Err(error) = self.group.check_owner().await {
                tracing::debug!(
                    error = with_causes(&error),
                    "Could not check whose the streams are."
                );
            }
            for (lane, ids) in self.claims.to_renew(self.claim_idle) {
                for ids in ids.chunks(IDS_PER_RENEWAL) {
                    if let Err(error) = self.group.renew(lane, ids).await {
                        tracing::debug!(%lane, error = with_causes(&error), "Could not renew claims.");
                    }
                }
            }
            tokio::time::sleep(self.claim_idle / RENEWALS_PER_CLAIM_TIME).await;
        }
    }

    /// Hands back what is still pending, and leaves the group on every lane where nothing is.
    pub(crate) async fn leave(&self) {
        for lane in Lane::ALL {
            if let Err(error) = self.hand_back(lane).await {
                tracing::warn!(%lane, error = with_causes(&error), "Could not hand back pending entries; they will be reclaimed when idle.");
            }
        }
        if let Err(error) = self.group.deregister().await {
            tracing::warn!(
                error = with_causes(&error),
                "Could not remove this consumer from its group; another worker will."
            );
        }
    }

    async fn hand_back(&self, lane: Lane) -> Result<(), GroupError> {
        let pending = self.group.own_pending(lane, None).await?;
        let is_untried = |entry| self.claims.is_untried(entry);
        self.group
            .hand_back(lane, &pending, is_untried, self.claim_idle)
            .await
    }
}
