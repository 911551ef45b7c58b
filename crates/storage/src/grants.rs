//! What each process needs of PostgreSQL, and the SQL that grants it to a role.

use std::fmt::{self, Write as _};

use crate::projections;
use crate::session_settings::literal;

/// What connects to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Stores deliveries while Redis is away, and counts what is due.
    Ingress,
    /// Commits events.
    Worker,
    /// Commands and people: read everything, replay events.
    Console,
    /// `harkara migrate`: owns the tables.
    Migrate,
}

/// A right on a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Select,
    Insert,
    Update,
    /// To update some columns, and to lock rows.
    UpdateOf(&'static [&'static str]),
}

/// What every process reads to know whether it may work on the schema.
const SCHEMA: [&str; 2] = ["__diesel_schema_migrations", "harkara_schema"];

/// Where rows of months without a partition are counted, which is not done over the parent.
pub(crate) const DEFAULT_PARTITIONS: [&str; 2] = ["webhook_events_default", "audit_logs_default"];

const VIEWS: [&str; 6] = [
    "accounts",
    "downtimes",
    "fund_account_validations",
    "invoices",
    "payment_links",
    "webhook_event_payloads",
];

/// What a delivery of a known event changes in the ledger.
const OF_DUPLICATES: &[&str] = &["duplicates", "other_id_duplicates"];

/// What a worker changes in the ledger: neither the body nor what tells where it came from.
const OF_PROCESSING: &[&str] = &[
    "duplicates",
    "other_id_duplicates",
    "status",
    "error",
    "attempts",
    "next_attempt_at",
    "processed_at",
    "event_type",
    "account_id",
    "occurred_at",
];

/// What a replay changes in the ledger.
const OF_REPLAYS: &[&str] = &["status", "attempts", "next_attempt_at"];

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select => f.write_str("SELECT"),
            Self::Insert => f.write_str("INSERT"),
            Self::Update => f.write_str("UPDATE"),
            Self::UpdateOf(columns) => write!(f, "UPDATE ({})", columns.join(", ")),
        }
    }
}

/// SQL that gives the role of this name what a process needs. For [`Process::Migrate`] the owner of the database runs
/// it, before the first migration. For all others the owner of the tables runs it, after the migrations; it may be run
/// again, and should be after an upgrade, because tables may be new.
#[must_use]
pub fn sql(process: Process, role: &str) -> String {
    let (name, text) = (quoted(role), literal(role));
    let on_schema = match process {
        Process::Migrate => "USAGE, CREATE",
        _ => "USAGE",
    };
    let mut sql = format!(
        "DO $$ BEGIN\n  \
           EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {text});\n  \
           EXECUTE format('GRANT {on_schema} ON SCHEMA %I TO %I', current_schema(), {text});\n"
    );
    if matches!(process, Process::Worker | Process::Console) {
        // The upkeep of partitions may put a new default partition in the place of the old one.
        write!(
            sql,
            "  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',\n    \
               (SELECT tableowner FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'webhook_events'),\n    \
               current_schema(), {text});\n"
        )
        .expect(TAKES_ALL);
    }
    sql.push_str("END $$;\n");
    for (rights, tables) in grants(process) {
        let rights: Vec<_> = rights.iter().map(Right::to_string).collect();
        let (rights, tables) = (rights.join(", "), tables.join(", "));
        writeln!(sql, "GRANT {rights} ON {tables} TO {name};").expect(TAKES_ALL);
    }
    sql
}

const TAKES_ALL: &str = "a string takes all";

/// The rights that a process needs, with the tables.
pub(crate) fn grants(process: Process) -> Vec<(Vec<Right>, Vec<&'static str>)> {
    use Right::{Insert, Select, Update, UpdateOf};
    let merged = projections::merged_tables();
    let (merged, histories): (Vec<_>, Vec<_>) =
        projections::tables().partition(|table| merged.contains(table));
    let own = match process {
        Process::Ingress => vec![
            (vec![Select, Insert], vec!["event_identities"]),
            (
                vec![Select, Insert, UpdateOf(OF_DUPLICATES)],
                vec!["webhook_events"],
            ),
        ],
        Process::Worker => vec![
            (vec![Select], DEFAULT_PARTITIONS.to_vec()),
            (vec![Select, Insert], vec!["event_identities"]),
            (
                vec![Select, Insert, UpdateOf(OF_PROCESSING)],
                vec!["webhook_events"],
            ),
            (vec![Select, Insert, Update], merged),
            (vec![Select, Insert], histories),
            (vec![Insert], vec!["audit_logs"]),
        ],
        Process::Console => vec![
            (vec![Select], DEFAULT_PARTITIONS.to_vec()),
            (vec![Select], vec!["event_identities"]),
            (vec![Select, UpdateOf(OF_REPLAYS)], vec!["webhook_events"]),
            (vec![Select], [merged, histories, VIEWS.to_vec()].concat()),
            (vec![Select, Insert], vec!["audit_logs"]),
        ],
        Process::Migrate => return Vec::new(),
    };
    let schema = (vec![Select], SCHEMA.to_vec());
    [vec![schema], own].concat()
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
