//! Whether a Redis server may be given deliveries: durable enough, not too full, and taking appends.

use std::time::Duration;

use harkara_core::deployment::Mark;
use harkara_settings::{IngressSettings, RedisSettings};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::confirmation::{Confirmations, LevelUnavailable};
use crate::connect::address;
use crate::deployment::{Deployment, ForeignStreams, found};
use crate::rehearsal::rehearse;
use crate::server_check::{check_server_over, connect_to_check};
use crate::server_problem::ServerProblem;

/// Checks one server repeatedly. Writes nothing but the mark of the deployment, where there is none.
pub struct FitnessCheck {
    deployment: Deployment,
    redis: RedisSettings,
    ingress: IngressSettings,
    /// Kept while Redis is fit. Otherwise the next check opens a new connection: the same name may lead to another
    /// server by then.
    connection: Option<MultiplexedConnection>,
}

/// How full Redis may be.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Percentage of its memory from which it is full.
    pub memory_percent_max: u64,
    /// Entries in all lanes from which it is full.
    pub entries_max: u64,
}

/// The result of a check.
#[derive(Debug)]
pub enum Fitness {
    /// Redis may be given deliveries; this confirms them.
    Fit(Confirmations),
    /// Redis must not be given deliveries.
    Unfit(Unfit),
}

/// Why a server that answers must not be given deliveries.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its streams belong to another deployment.
    #[error("{}; {}", .foreign, .foreign.remedy())]
    Foreign {
        /// Whose they are.
        foreign: ForeignStreams,
    },
    /// It takes appends and drops them when its memory is full.
    #[error(transparent)]
    Evicts(ServerProblem),
    /// It is less durable than configured.
    #[error(transparent)]
    Level(#[from] LevelUnavailable),
    /// Its memory is full.
    #[error(
        "{percent} % of the memory of Redis is in use; the limit is {percent_max} % (ingress.redis_memory_percent_max)"
    )]
    Memory {
        /// Percentage in use.
        percent: u64,
        /// The limit.
        percent_max: u64,
    },
    /// The lanes are full.
    #[error("{entries} entries are in the lanes; the limit is {entries_max} (ingress.entries_max)")]
    Entries {
        /// Entries in all lanes.
        entries: u64,
        /// The limit.
        entries_max: u64,
    },
}

/// Why a check gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It took too long.
    #[error("Redis did not answer a health check in time")]
    Timeout,
    /// The server cannot be reached, does not answer, or refuses an append.
    #[error(transparent)]
    Server(#[from] ServerProblem),
}

impl FitnessCheck {
    /// A check that connects with the first run.
    #[must_use]
    pub fn new(deployment: Deployment, redis: &RedisSettings, ingress: &IngressSettings) -> Self {
        Self {
            deployment,
            redis: redis.clone(),
            ingress: ingress.clone(),
            connection: None,
        }
    }

    /// The longest that a run takes.
    #[must_use]
    pub fn duration_max(&self) -> Duration {
        self.redis.connect_timeout + self.redis.response_timeout
    }

    /// Makes the next check open a new connection: the name may lead to another server than before.
    pub fn reconnect(&mut self) {
        self.connection = None;
    }

    /// Checks the server once.
    pub async fn run(&mut self, room: Room) -> Result<Fitness, CheckError> {
        let kept = self.connection.take();
        let checked = tokio::time::timeout(self.duration_max(), self.check(kept, room)).await;
        let (fitness, connection) = checked.map_err(|_| CheckError::Timeout)??;
        self.connection = connection;
        Ok(fitness)
    }

    async fn check(
        &self,
        kept: Option<MultiplexedConnection>,
        room: Room,
    ) -> Result<(Fitness, Option<MultiplexedConnection>), ServerProblem> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect_to_check(&self.redis).await?,
        };
        let fitness = self.assess(&mut connection, room).await?;
        let kept = matches!(fitness, Fitness::Fit(_)).then_some(connection);
        Ok((fitness, kept))
    }

    async fn assess(
        &self,
        connection: &mut MultiplexedConnection,
        room: Room,
    ) -> Result<Fitness, ServerProblem> {
        let problem = |error| ServerProblem::of(&address(&self.redis), error);
        let server = match check_server_over(connection, &self.redis).await {
            Ok(server) => server,
            Err(evicts @ ServerProblem::EvictsEntries { .. }) => {
                return Ok(Fitness::Unfit(Unfit::Evicts(evicts)));
            }
            Err(problem) => return Err(problem),
        };
        let confirmations = match Confirmations::of(&self.ingress, &server) {
            Ok(confirmations) => confirmations,
            Err(unavailable) => return Ok(Fitness::Unfit(unavailable.into())),
        };
        let percent_max = room.memory_percent_max;
        if let Some(percent) = server.memory_percent()
            && percent >= percent_max
        {
            return Ok(Fitness::Unfit(Unfit::Memory {
                percent,
                percent_max,
            }));
        }
        let (entries, mark) = self.entries_and_mark(connection).await.map_err(problem)?;
        let claimed = self.deployment.claim_found(connection, mark).await;
        if let Err(foreign) = claimed.map_err(problem)? {
            return Ok(Fitness::Unfit(Unfit::Foreign { foreign }));
        }
        let entries_max = room.entries_max;
        if entries >= entries_max {
            return Ok(Fitness::Unfit(Unfit::Entries {
                entries,
                entries_max,
            }));
        }
        let rehearsed = rehearse(connection, &self.redis.keys, &confirmations).await;
        rehearsed.map_err(problem)?;
        Ok(Fitness::Fit(confirmations))
    }

    /// Entries in all lanes, and whose these are.
    async fn entries_and_mark(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<(u64, Option<Mark>)> {
        let mut queries = redis::pipe();
        for stream in self.redis.keys.streams() {
            queries.cmd("XLEN").arg(stream);
        }
        queries.add_command(self.deployment.get_mark());
        let (a, b, c, d, mark): (u64, u64, u64, u64, Option<Vec<u8>>) =
            queries.query_async(connection).await?;
        Ok((a + b + c + d, mark.map(|text| found(&text))))
    }
}
