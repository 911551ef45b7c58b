//! A table with one row for each entity. The law of merging, stated once in SQL.

use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::projection::Snapshot;

use super::Applied;
use super::column::{
    Column, Growth, Table, account_id, event_id, names_and_expressions, occurred_at, precedence,
};
use crate::StorageError;
use crate::statement_times::Named;

/// A table that merges snapshots by `precedence` and `last_event_id`.
pub(super) struct MergedTable<T: 'static>(Table<T>);

impl<T> MergedTable<T> {
    /// A table with these key columns, of which the last is the entity's id, and these columns besides those
    /// that every merged table has. One is `status`.
    pub(super) fn new(
        name: &'static str,
        kind: Option<&'static str>,
        key: Vec<Column<T>>,
        own: Vec<Column<T>>,
    ) -> Self {
        let mut columns = key;
        let keys: Vec<&'static str> = columns.iter().map(|column| column.name).collect();
        columns.push(account_id());
        columns.extend(own);
        columns.extend([occurred_at(), precedence(), event_id("last_event_id")]);
        let statement = sql(name, kind, &keys, &columns);
        Self(Table::new(name, columns, statement))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0.name
    }

    /// Merges snapshots, at most one for each entity, into the table, and writes an audit row for
    /// every entity whose status changed. Uses the primary key.
    pub(super) async fn upsert(
        &self,
        connection: &AsyncPgConnection,
        rows: &[Snapshot<T>],
    ) -> Result<Applied, StorageError> {
        if rows.is_empty() {
            return Ok(Applied::default());
        }
        let changed: i64 = self
            .0
            .statement::<BigInt>(rows)
            .get_result(&mut &*connection)
            .named(self.0.name)
            .await?;
        let changed = usize::try_from(changed).unwrap_or(rows.len());
        Ok(Applied {
            changed,
            unchanged: rows.len().saturating_sub(changed),
        })
    }
}

fn sql<T>(table: &str, kind: Option<&str>, keys: &[&'static str], columns: &[Column<T>]) -> String {
    const PREVAILS: &str =
        "(excluded.precedence, excluded.last_event_id) > (t.precedence, t.last_event_id)";
    let (names, expressions) = names_and_expressions(columns);
    let growing: Vec<_> = columns
        .iter()
        .filter(|column| column.growth != Growth::Prevailing)
        .collect();

    let merged = |column: &Column<T>| {
        let name = column.name;
        let value = match column.growth {
            // Without growing columns nothing is updated unless the new snapshot prevails.
            Growth::Prevailing if growing.is_empty() => format!("excluded.{name}"),
            Growth::Prevailing => {
                format!("CASE WHEN {PREVAILS} THEN excluded.{name} ELSE t.{name} END")
            }
            _ => grown(column),
        };
        format!("{name} = {value}")
    };
    let assignments: Vec<_> = columns
        .iter()
        .filter(|column| !keys.contains(&column.name))
        .map(merged)
        .collect();
    let grows: Vec<_> = growing
        .iter()
        .map(|column| format!(" OR {} IS DISTINCT FROM t.{}", grown(column), column.name))
        .collect();
    let grows = grows.concat();

    let entity_type = kind.map_or_else(|| keys[0].to_owned(), |kind| format!("'{kind}'"));
    format!(
        "WITH changed AS (\
           INSERT INTO {table} AS t ({names}) \
           SELECT {expressions} FROM ({{}}) AS i \
           ON CONFLICT ({key}) DO UPDATE SET {assignments}, status_before = t.status, updated_at = now() \
           WHERE {PREVAILS}{grows} \
           RETURNING {key}, status, status_before, last_event_id\
         ), audited AS (\
           INSERT INTO audit_logs (actor, action, entity_type, entity_id, razorpay_event_id, from_status, to_status) \
           SELECT 'worker', 'status_changed', {entity_type}, {id}, last_event_id, status_before, status \
           FROM changed WHERE status_before IS DISTINCT FROM status\
         ) SELECT count(*) FROM changed",
        key = keys.join(", "),
        id = keys[keys.len() - 1],
        assignments = assignments.join(", "),
    )
}

/// The value of a growing column after a merge; absent values count for nothing.
fn grown<T>(column: &Column<T>) -> String {
    let name = column.name;
    match column.growth {
        Growth::Prevailing => format!("excluded.{name}"),
        Growth::Greatest => format!("greatest(t.{name}, excluded.{name})"),
        Growth::Least => format!("least(t.{name}, excluded.{name})"),
        Growth::RefundStatus => format!(
            "CASE WHEN 'full' IN (t.{name}, excluded.{name}) THEN 'full' ELSE greatest(t.{name}, excluded.{name}) END"
        ),
    }
}
