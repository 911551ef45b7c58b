//! The store against a real PostgreSQL. Every test has its own database.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod records;
mod store;

mod maintenance;
mod migrations;
mod partitions;
mod schema;

mod ledger_rows;
mod values;

mod duplicates;
mod growth;
mod law;

mod audit;
mod failures;
mod hosts;
mod pooler;
mod sqlstates;
mod verdicts;

mod backlog;
mod due;
mod inspection;
mod listing;
mod replay;
mod secrets;
mod views;

mod plans;
mod postponed;
