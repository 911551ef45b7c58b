//! Errors of the consumer group.

use redis::RedisError;

use crate::deployment::ForeignStreams;
use crate::pool::PoolError;
use crate::pooled::PooledError;
use crate::unknown_command::without_arguments;

/// A failed operation on the consumer group. Every one can be retried, except on foreign streams: entries stay
/// pending until they are acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The streams belong to another deployment. Nothing was read.
    #[error(transparent)]
    Foreign(#[from] ForeignStreams),
    /// The group is missing, with or without its stream: Redis lost its data, or somebody deleted it.
    #[error("the consumer group does not exist")]
    NoGroup,
    /// Redis did not answer, or refused.
    #[error("{operation} failed: {source}")]
    Redis {
        /// The failed command.
        operation: &'static str,
        /// The error of the client or the server.
        #[source]
        source: RedisError,
    },
    /// No connection could be taken from the pool.
    #[error("no connection to Redis: {0}")]
    Connect(#[source] PoolError),
    /// The reply has more bytes than were asked for. The connection is closed.
    #[error("the reply to {operation} is larger than worker.batch_bytes_max allows")]
    ReplyTooLarge {
        /// The command.
        operation: &'static str,
    },
    /// The reply does not have the form that the command returns.
    #[error("{operation} returned an unexpected reply")]
    UnexpectedReply {
        /// The command.
        operation: &'static str,
    },
}

impl GroupError {
    pub(crate) fn pooled(operation: &'static str) -> impl FnOnce(PooledError) -> Self {
        move |error| match error {
            PooledError::Connect(error) => Self::Connect(error),
            PooledError::Command(error) => Self::of(operation)(error),
        }
    }

    pub(crate) fn of(operation: &'static str) -> impl FnOnce(RedisError) -> Self {
        move |source| {
            if source.code() == Some("NOGROUP") {
                Self::NoGroup
            } else {
                let source = without_arguments(source);
                Self::Redis { operation, source }
            }
        }
    }
}
