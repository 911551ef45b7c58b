//! What a check found, and what to do about it.

use serde::Serialize;
use strum::Display;

use super::probe::PROBE_MAX;

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
    /// What only production needs.
    Production,
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
    /// The check's name, whatever its result.
    pub check: String,
    /// How bad it is.
    pub status: Status,
    /// What was found.
    #[serde(rename = "told")]
    pub found: String,
    /// What to do about it; `None` exactly if the status is ok.
    pub remedy: Option<String>,
}

/// A check of an area, which ends in a finding.
#[derive(Debug)]
pub(super) struct Check {
    area: Area,
    name: String,
}

impl Area {
    pub(super) fn check(self, name: impl Into<String>) -> Check {
        Check {
            area: self,
            name: name.into(),
        }
    }
}

impl Check {
    pub(super) fn ok(self, found: impl Into<String>) -> Finding {
        self.judged(Status::Ok, found, "")
    }

    pub(super) fn warning(self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.judged(Status::Warning, found, remedy)
    }

    pub(super) fn problem(self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.judged(Status::Problem, found, remedy)
    }

    /// A query without an answer, of a server that answers others.
    pub(super) fn unanswered(self, reason: &str, remedy: impl Into<String>) -> Finding {
        self.warning(format!("the query failed: {reason}"), remedy)
    }

    /// A server without an answer in time.
    pub(super) fn silent(self, server: &str, address: &str) -> Finding {
        let bound = PROBE_MAX.as_secs();
        self.problem(
            format!("{server} at {address} gives no answer within {bound} s"),
            "check whether it is overloaded, and the network in between",
        )
    }

    /// A finding of any status, whose remedy counts unless it is ok.
    pub(super) fn judged(
        self,
        status: Status,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            area: self.area,
            check: self.name,
            status,
            found: found.into(),
            remedy: (status != Status::Ok).then(|| remedy.into()),
        }
    }
}
