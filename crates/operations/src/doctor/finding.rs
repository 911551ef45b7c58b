//! What a check found, and what to do about it.

use serde::Serialize;
use strum::Display;

/// What was checked, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Area {
    /// The settings themselves.
    Settings,
    /// The endpoints and their secrets.
    Endpoints,
    /// Encryption of every connection.
    Tls,
    /// The sentinels that know where Redis is.
    Sentinels,
    /// The Redis server.
    Redis,
    /// The lanes and their consumers.
    Streams,
    /// The PostgreSQL server.
    Postgres,
    /// What the migrations create.
    Schema,
    /// This machine's clock against those of both servers.
    Clocks,
}

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// A risk, or something that the next start repairs.
    Warning,
    /// A process would not start, or deliveries are refused, lost or not processed.
    Problem,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The area of the check.
    pub area: Area,
    /// The check, in words that do not depend on its result.
    pub check: String,
    /// How bad it is.
    pub status: Status,
    /// What was found.
    #[serde(rename = "told")]
    pub found: String,
    /// What to do about it; `None` exactly if the status is ok.
    pub remedy: Option<String>,
}

impl Area {
    pub(super) fn ok(self, check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            area: self,
            check: check.into(),
            status: Status::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    pub(super) fn warning(
        self,
        check: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            status: Status::Warning,
            remedy: Some(remedy.into()),
            ..self.ok(check, found)
        }
    }

    pub(super) fn problem(
        self,
        check: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            status: Status::Problem,
            ..self.warning(check, found, remedy)
        }
    }
}
