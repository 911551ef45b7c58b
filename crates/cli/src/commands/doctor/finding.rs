//! What a check has found, and what to do about it.

use std::fmt;

use serde::Serialize;

/// What was looked at, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    /// The settings themselves.
    Settings,
    /// The endpoints and their secrets.
    Endpoints,
    /// Encryption of every connection.
    Tls,
    /// Who tells where Redis is.
    Sentinels,
    /// The Redis server.
    Redis,
    /// The lanes and who works on them.
    Streams,
    /// The PostgreSQL server.
    Postgres,
    /// What the migrations make.
    Schema,
    /// This machine's clock against those of both servers.
    Clocks,
}

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// A risk, or something that a start mends by itself.
    Warning,
    /// A process would not start, or deliveries are refused, lost or not processed.
    Problem,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) area: Area,
    /// What of the area was checked: a few words that do not change with what is found.
    pub(super) check: String,
    pub(super) status: Status,
    /// What was found.
    pub(super) told: String,
    /// What to do about it; null exactly where the status is ok.
    pub(super) remedy: Option<String>,
}

impl Area {
    pub(super) fn ok(self, check: impl Into<String>, told: impl Into<String>) -> Finding {
        self.finding(Status::Ok, check.into(), told.into(), None)
    }

    pub(super) fn warning(
        self,
        check: impl Into<String>,
        told: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let remedy = Some(remedy.into());
        self.finding(Status::Warning, check.into(), told.into(), remedy)
    }

    pub(super) fn problem(
        self,
        check: impl Into<String>,
        told: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let remedy = Some(remedy.into());
        self.finding(Status::Problem, check.into(), told.into(), remedy)
    }

    /// A problem told by one of our own refusals, which put what to do behind a semicolon; where one does
    /// not, `remedy` holds.
    pub(super) fn refusal(self, check: &str, refusal: &str, remedy: &str) -> Finding {
        let (told, remedy) = refusal.split_once("; ").unwrap_or((refusal, remedy));
        self.problem(check, told, remedy)
    }

    fn finding(
        self,
        status: Status,
        check: String,
        told: String,
        remedy: Option<String>,
    ) -> Finding {
        Finding {
            area: self,
            check,
            status,
            told,
            remedy,
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings",
            Self::Endpoints => "endpoints",
            Self::Tls => "tls",
            Self::Sentinels => "sentinels",
            Self::Redis => "redis",
            Self::Streams => "streams",
            Self::Postgres => "postgres",
            Self::Schema => "schema",
            Self::Clocks => "clocks",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Area;

    #[test]
    fn a_refusal_is_told_with_its_own_remedy() {
        let finding =
            Area::Schema.refusal("version", "it lacks two; run `harkara migrate`", "look");
        assert_eq!(finding.told, "it lacks two");
        assert_eq!(finding.remedy.as_deref(), Some("run `harkara migrate`"));
        let finding = Area::Schema.refusal("version", "it lacks two", "look");
        assert_eq!(finding.remedy.as_deref(), Some("look"));
    }
}
