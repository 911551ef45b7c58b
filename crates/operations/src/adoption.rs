//! Adoption: an operator gives this deployment the streams of another, such as its own former self.

use std::collections::BTreeSet;

use harkara_core::deployment::Mark;
use harkara_core::lane::Lane;
use harkara_settings::Settings;
use harkara_storage::ledger::audit_adoption;
use harkara_storage::{Pool, StorageError};
use harkara_streams::inspection::inspect_lane;
use harkara_streams::{Deployment, ServerProblem, address, connect_to_check};
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use serde::Serialize;

use crate::{Actor, OperationError};

/// Streams that could be adopted.
pub struct Adoption<'a> {
    settings: &'a Settings,
    connection: MultiplexedConnection,
    deployment: Deployment,
    own: Mark,
    found: Option<Mark>,
    entries: u64,
    /// Consumers that have been active recently.
    workers: BTreeSet<String>,
}

/// What an adoption did.
#[derive(Clone, Debug, Serialize)]
pub struct AdoptionReport {
    /// The part of their names that the streams share.
    pub streams: String,
    /// The mark until now; `None` if there was none.
    pub from: Option<String>,
    /// The mark of this deployment.
    pub to: String,
    /// Entries in the streams.
    pub entries: u64,
    /// Whether the mark was written. Otherwise it was this deployment's already.
    pub adopted: bool,
}

/// Looks at the streams of the settings, and changes nothing.
pub async fn examine<'a>(
    settings: &'a Settings,
    database: &Pool,
) -> Result<Adoption<'a>, OperationError> {
    let deployment = Deployment::of(settings);
    let own = deployment.identify(database).await?;
    let mut connection = connect_to_check(&settings.redis).await?;
    let problem = |error| problem(settings, error);
    let found = deployment
        .read_mark(&mut connection)
        .await
        .map_err(problem)?;
    let (mut entries, mut workers) = (0, BTreeSet::new());
    for lane in Lane::ALL {
        let state = inspect_lane(&mut connection, &settings.redis.keys, lane).await;
        let state = state.map_err(problem)?;
        entries += state.entries;
        let consumers = state.group.into_iter().flat_map(|group| group.consumers);
        let active = consumers.filter(|consumer| consumer.idle <= settings.worker.quiet_max());
        workers.extend(active.map(|consumer| consumer.name));
    }
    Ok(Adoption {
        settings,
        connection,
        deployment,
        own,
        found,
        entries,
        workers,
    })
}

impl Adoption<'_> {
    /// Whose the streams are, if they are another deployment's.
    #[must_use]
    pub fn owner(&self) -> Option<&Mark> {
        self.found.as_ref().filter(|found| **found != self.own)
    }

    /// Entries in the streams.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Fails if workers of the other deployment are active: they would go on for a while.
    pub fn check_unused(&self) -> Result<(), OperationError> {
        match self.owner() {
            Some(owner) if !self.workers.is_empty() => Err(OperationError::StreamsInUse {
                workers: self.workers.iter().cloned().collect(),
                owner: owner.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Marks the streams as this deployment's, unless they are. Writes an audit row with the actor first. Fails if
    /// they have become another's or have workers since they were looked at: the actor may have thought about it
    /// for long.
    pub async fn adopt(
        self,
        database: &Pool,
        actor: &Actor,
    ) -> Result<AdoptionReport, OperationError> {
        let now = examine(self.settings, database).await?;
        now.check_unused()?;
        if now.found != self.found {
            return Err(OperationError::OwnerChanged {
                before: self.found,
                now: now.found,
            });
        }
        now.replace(database, actor).await
    }

    async fn replace(
        mut self,
        database: &Pool,
        actor: &Actor,
    ) -> Result<AdoptionReport, OperationError> {
        let adopted = self.found.as_ref() != Some(&self.own);
        if adopted {
            self.audit(database, actor).await?;
            let replaced = self
                .deployment
                .replace_mark(&mut self.connection, &self.own)
                .await;
            replaced.map_err(|error| problem(self.settings, error))?;
        }
        Ok(AdoptionReport {
            streams: self.deployment.keys().to_string(),
            from: self.found.map(|found| found.as_str().to_owned()),
            to: self.own.as_str().to_owned(),
            entries: self.entries,
            adopted,
        })
    }

    async fn audit(&self, database: &Pool, actor: &Actor) -> Result<(), StorageError> {
        let streams = self.deployment.keys().to_string();
        let actor = actor.to_string();
        audit_adoption(database, &streams, self.found.as_ref(), &self.own, &actor).await
    }
}

fn problem(settings: &Settings, error: RedisError) -> OperationError {
    ServerProblem::of(&address(&settings.redis), error).into()
}
