//! Keeps a worker off the streams of another deployment.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use tokio::sync::SetOnce;

use super::Group;
use crate::deployment::{Deployment, ForeignStreams};
use crate::group_error::GroupError;
use crate::pool::{Hook, HookError};

/// The check of each new connection of the pool, which sets `foreign`: the address may lead to another server than
/// before.
pub(super) fn check_of(deployment: &Deployment, foreign: &Arc<SetOnce<ForeignStreams>>) -> Hook {
    let (deployment, foreign) = (deployment.clone(), foreign.clone());
    Hook::async_fn(move |connection, _| {
        let (deployment, foreign) = (deployment.clone(), foreign.clone());
        Box::pin(async move {
            let checked = deployment.claim_streams_over(connection).await;
            checked.map_err(HookError::Backend)?.map_err(|found| {
                let refused = HookError::message(found.to_string());
                foreign.set(found).ok();
                refused
            })
        })
    })
}

impl Group {
    /// Checks whose the streams are, and marks them if nobody has. Fails with [`GroupError::Foreign`] from the first
    /// time on that they are another deployment's.
    pub async fn check_owner(&self) -> Result<(), GroupError> {
        let checked = self.over("GET", async |connection| {
            self.deployment.claim_streams_over(connection).await
        });
        self.note_owner(checked.await?)
    }

    /// The same over a connection.
    pub(super) async fn check_owner_over(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> Result<(), GroupError> {
        let checked = self.deployment.claim_streams_over(connection).await;
        self.note_owner(checked.map_err(GroupError::of("GET"))?)
    }

    /// Waits until the streams were found to be another deployment's.
    pub async fn foreign(&self) -> ForeignStreams {
        self.foreign.wait().await.clone()
    }

    /// Fails if the streams were found to be another deployment's. Sends nothing.
    pub(super) fn known_owner(&self) -> Result<(), GroupError> {
        match self.foreign.get() {
            Some(foreign) => Err(foreign.clone().into()),
            None => Ok(()),
        }
    }

    fn note_owner(&self, checked: Result<(), ForeignStreams>) -> Result<(), GroupError> {
        if let Err(foreign) = checked {
            // It may be set already, and stays as it is.
            self.foreign.set(foreign).ok();
        }
        self.known_owner()
    }
}
