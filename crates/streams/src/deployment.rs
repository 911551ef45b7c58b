//! Whose the streams are: the mark beside them, which every process checks before it uses them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use harkara_core::deployment::{DeploymentName, LedgerId, Mark};
use harkara_core::redis_keys::RedisKeys;
use harkara_settings::Settings;
use harkara_storage::ledger::ledger_id;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, RedisResult, cmd};

use crate::connect::address;

/// The deployment of this process, and what it knows of its ledger. Clones share that.
#[derive(Clone)]
pub struct Deployment {
    name: DeploymentName,
    keys: RedisKeys,
    /// Of Redis, for messages.
    address: String,
    ledger: Arc<OnceLock<LedgerId>>,
    /// The streams, once they were found to be another deployment's and until they are this one's.
    foreign: Arc<Mutex<Option<ForeignStreams>>>,
}

/// The streams belong to another deployment: they are not to be used. Displayed without the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the streams {keys}:* in Redis at {address} belong to the deployment {found}; this is {own}"
)]
pub struct ForeignStreams {
    keys: RedisKeys,
    address: String,
    found: Mark,
    own: String,
}

impl Deployment {
    /// The deployment of the settings, whose ledger is not known yet.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            name: settings.deployment.clone(),
            keys: settings.redis.keys.clone(),
            address: address(&settings.redis),
            ledger: Arc::default(),
            foreign: Arc::default(),
        }
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &RedisKeys {
        &self.keys
    }

    /// Its mark. Reads the id of the ledger, unless it is known.
    pub async fn identify(
        &self,
        database: &harkara_storage::Pool,
    ) -> Result<Mark, harkara_storage::StorageError> {
        if let Some(mark) = self.mark() {
            return Ok(mark);
        }
        let id = ledger_id(database).await?;
        let ledger = self.ledger.get_or_init(|| id);
        Ok(Mark::new(&self.name, ledger))
    }

    /// Its mark; `None` while the ledger is not known.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        let ledger = self.ledger.get()?;
        Some(Mark::new(&self.name, ledger))
    }

    /// Checks the mark, and writes it if there is none and the ledger is known: of several deployments, the first
    /// gets the streams. Without the ledger only the names are compared. The inner error is a foreign mark.
    ///
    /// Redis that is out of memory takes no mark. Its streams are used nevertheless, since that frees memory.
    pub async fn claim_streams_over(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<Result<(), ForeignStreams>> {
        let found = self.read_mark(connection).await?;
        self.claim_found(connection, found).await
    }

    /// The same for a mark that was just read.
    pub(crate) async fn claim_found(
        &self,
        connection: &mut impl ConnectionLike,
        found: Option<Mark>,
    ) -> RedisResult<Result<(), ForeignStreams>> {
        let found = match (found, self.mark()) {
            (None, Some(own)) if self.foreign().is_none() => {
                let mut write = cmd("SET");
                write.arg(self.keys.mark()).arg(own.as_str()).arg("NX");
                match write.exec_async(connection).await {
                    Err(error) if !is_out_of_memory(&error) => return Err(error),
                    _ => {}
                }
                // Another may have been first.
                self.read_mark(connection).await?
            }
            (found, _) => found,
        };
        Ok(self.judge(found))
    }

    /// The mark that is there.
    pub async fn read_mark(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<Option<Mark>> {
        let reply: Option<Vec<u8>> = self.get_mark().query_async(connection).await?;
        Ok(reply.map(|text| found(&text)))
    }

    /// The command that reads the mark; [`found`] reads its reply.
    pub(crate) fn get_mark(&self) -> Cmd {
        let mut get = cmd("GET");
        get.arg(self.keys.mark());
        get
    }

    /// Fails for a mark of another deployment. Streams without a mark are nobody's, unless this process has seen
    /// another's mark beside them: a mark that was lost does not make them ours.
    pub fn judge(&self, found: Option<Mark>) -> Result<(), ForeignStreams> {
        let mut foreign = self.foreign();
        if let Some(found) = found {
            let is_own = found.is_of(&self.name, self.ledger.get());
            *foreign = (!is_own).then(|| self.streams_of(found));
        }
        foreign.clone().map_or(Ok(()), Err)
    }

    fn streams_of(&self, found: Mark) -> ForeignStreams {
        let own = self.mark();
        ForeignStreams {
            keys: self.keys.clone(),
            address: self.address.clone(),
            found,
            own: own.map_or_else(|| self.name.to_string(), |own| own.to_string()),
        }
    }

    fn foreign(&self) -> MutexGuard<'_, Option<ForeignStreams>> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a mark in place of another. Only for an operator who has made sure that the streams are theirs.
    pub async fn replace_mark(
        &self,
        connection: &mut impl ConnectionLike,
        mark: &Mark,
    ) -> RedisResult<()> {
        let mut write = cmd("SET");
        write.arg(self.keys.mark()).arg(mark.as_str());
        write.exec_async(connection).await
    }
}

/// Whether Redis refused a command because it would need memory.
pub(crate) fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}

/// The mark in a reply.
pub(crate) fn found(text: &[u8]) -> Mark {
    Mark::found(String::from_utf8_lossy(text).into_owned())
}

impl ForeignStreams {
    /// What to do about it.
    pub const REMEDY: &str = "give each deployment a Redis of its own or another redis.prefix \
         (HARKARA__REDIS__PREFIX); if these streams are this deployment's, which has another name or database than \
         before, run `harkara adopt` (docs/runbooks/foreign-streams.md)";

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        Self::REMEDY
    }

    /// The mark that was found.
    #[must_use]
    pub fn found(&self) -> &Mark {
        &self.found
    }
}

#[cfg(test)]
mod tests;
