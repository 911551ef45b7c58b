//! Why an operation failed, and what an operator does about it.

use harkara_core::deployment::Mark;
use harkara_storage::{StorageError, migrations::SchemaState};
use harkara_streams::ServerProblem;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// PostgreSQL cannot be reached.
    #[error("PostgreSQL at {address} is unavailable")]
    Unavailable {
        /// `host:port`.
        address: String,
        /// The reason.
        #[source]
        source: StorageError,
    },
    /// The schema is not one that this binary knows.
    #[error("{}", .0.problem().unwrap_or_default())]
    Schema(SchemaState),
    /// No event has this id.
    #[error("no event has the id {0:?}")]
    UnknownEvent(String),
    /// Redis cannot be used. Displayed with its remedy.
    #[error(transparent)]
    Redis(#[from] ServerProblem),
    /// Workers of another deployment use the streams.
    #[error("the streams are in use by workers of the deployment {owner}: {}", .workers.join(", "))]
    StreamsInUse {
        /// Their consumer names.
        workers: Vec<String>,
        /// Their deployment.
        owner: Mark,
    },
    /// The streams were marked anew between two looks.
    #[error(
        "the streams belonged to {}, and now to {}", owner(.before.as_ref()), owner(.now.as_ref())
    )]
    OwnerChanged {
        /// Their mark at the first look.
        before: Option<Mark>,
        /// Their mark now.
        now: Option<Mark>,
    },
    /// PostgreSQL failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OperationError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => Some(
                "check that it is running and that postgres.url (HARKARA__POSTGRES__URL) is correct, or start one with \
                 `cargo dev up`",
            ),
            Self::UnknownEvent(_) => Some("`harkara events` lists those that were received"),
            Self::Schema(state) => Some(state.remedy()),
            Self::StreamsInUse { .. } => Some(
                "if it is no longer to use them, stop its workers and ingresses first (killed ones count for another \
                 minute); if it is, set redis.url or redis.prefix of this one",
            ),
            Self::OwnerChanged { .. } => {
                Some("find out who marked them, and run the command again")
            }
            Self::Redis(_) | Self::Storage(_) => None,
        }
    }
}

fn owner(mark: Option<&Mark>) -> String {
    mark.map_or_else(
        || "nobody".to_owned(),
        |mark| format!("the deployment {mark}"),
    )
}
