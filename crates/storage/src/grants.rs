//! The SQL that gives a role of PostgreSQL what one kind of process needs, and nothing more.

use std::fmt::Write as _;

use crate::projections;

/// What a role of PostgreSQL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// To store deliveries while Redis is away, and to count what is due.
    Ingress,
    /// To commit events.
    Worker,
    /// To look at everything, and to replay events.
    Console,
    /// To own the schema: migrations and partitions.
    Migrate,
}

/// Rights on some tables.
struct Grant {
    rights: &'static str,
    tables: Vec<&'static str>,
}

/// What every process reads to know whether it may work on the schema.
const SCHEMA: [&str; 2] = ["__diesel_schema_migrations", "harkara_schema"];

/// Where rows of months without a partition are counted, which is not done over the parent.
const DEFAULT_PARTITIONS: [&str; 2] = ["webhook_events_default", "audit_logs_default"];

const VIEWS: [&str; 6] = [
    "accounts",
    "downtimes",
    "fund_account_validations",
    "invoices",
    "payment_links",
    "webhook_event_payloads",
];

/// SQL that gives the role of this name the rights of a duty, to be run by the owner of the schema after the
/// migrations. It may be run again, and should be after an upgrade: tables may be new. Of the worker and the console,
/// the owner's future tables can be read.
#[must_use]
pub fn sql(duty: Duty, role: &str) -> String {
    let (role, text) = (quoted(role), literal(role));
    let mut sql = format!(
        "DO $$ BEGIN\n  \
           EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {text});\n  \
           EXECUTE format('GRANT {} ON SCHEMA %I TO %I', current_schema(), {text});\n\
         END $$;\n",
        match duty {
            Duty::Migrate => "USAGE, CREATE",
            _ => "USAGE",
        }
    );
    for Grant { rights, tables } in grants(duty) {
        let tables = tables.join(", ");
        writeln!(sql, "GRANT {rights} ON {tables} TO {role};").expect("a string takes all");
    }
    if matches!(duty, Duty::Worker | Duty::Console) {
        writeln!(
            sql,
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role};"
        )
        .expect("a string takes all");
    }
    sql
}

fn grants(duty: Duty) -> Vec<Grant> {
    let grant = |rights, tables: &[&'static str]| Grant {
        rights,
        tables: tables.to_vec(),
    };
    let schema = grant("SELECT", &SCHEMA);
    match duty {
        Duty::Ingress => vec![
            schema,
            grant("SELECT, INSERT", &["webhook_events", "event_identities"]),
        ],
        Duty::Worker => {
            let merged = projections::merged_tables();
            let mut histories: Vec<_> = projections::tables().collect();
            histories.retain(|table| !merged.contains(table));
            vec![
                schema,
                grant("SELECT", &DEFAULT_PARTITIONS),
                grant("SELECT, INSERT", &["event_identities"]),
                grant("SELECT, INSERT, UPDATE", &["webhook_events"]),
                grant("SELECT, INSERT, UPDATE", &merged),
                grant("SELECT, INSERT", &histories),
                grant("INSERT", &["audit_logs"]),
            ]
        }
        Duty::Console => {
            let tables: Vec<_> = projections::tables().collect();
            vec![
                schema,
                grant("SELECT", &DEFAULT_PARTITIONS),
                grant("SELECT", &["event_identities"]),
                grant("SELECT, UPDATE", &["webhook_events"]),
                grant("SELECT", &tables),
                grant("SELECT", &VIEWS),
                grant("SELECT, INSERT", &["audit_logs"]),
            ]
        }
        Duty::Migrate => Vec::new(),
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{literal, quoted};

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
