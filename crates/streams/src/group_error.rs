//! What can go wrong between the worker and Redis.

use crate::PooledError;
use redis::RedisError;

/// A failed operation on the consumer group. All of them are worth trying again: the entries stay
/// pending until they are acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The group is gone, with or without its stream: Redis lost its data, or someone deleted it.
    #[error("the consumer group does not exist")]
    NoGroup,
    /// No connection, no answer, or a refusal.
    #[error("{operation} failed: {source}")]
    Redis {
        /// What was being done.
        operation: &'static str,
        /// What the client or the server said.
        #[source]
        source: RedisError,
    },
    /// No connection could be taken from the pool.
    #[error("no connection to Redis: {0}")]
    Connect(String),
    /// An answer was not of the form that the command has.
    #[error("{operation} gave an unexpected answer")]
    Unexpected {
        /// What was being done.
        operation: &'static str,
    },
}

impl GroupError {
    pub(crate) fn pooled(operation: &'static str) -> impl FnOnce(PooledError) -> Self {
        move |error| match error {
            PooledError::Connect(error) => Self::Connect(error.to_string()),
            PooledError::Command(error) => Self::of(operation)(error),
        }
    }

    pub(crate) fn of(operation: &'static str) -> impl FnOnce(RedisError) -> Self {
        move |source| {
            if source.code() == Some("NOGROUP") {
                Self::NoGroup
            } else {
                Self::Redis { operation, source }
            }
        }
    }
}
