//! The store against a real PostgreSQL. Every test has a database of its own.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod records;

mod migrations;
mod schema;

mod ledger_rows;
mod values;

mod duplicates;
mod growth;
mod law;

mod audit;
mod failures;
mod verdicts;

mod backlog;
mod due;
mod inspection;
mod listing;
mod replay;
mod secrets;
mod views;

mod plans;
