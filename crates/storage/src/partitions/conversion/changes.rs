//! What is still to be copied: the pages that a default partition had in the beginning, and the rows that changed
//! since.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::super::Parent;
use super::owner;
use crate::StorageError;
use crate::statement_times::Named;

/// Identifies rows: an id and the time that names the month. More than one row of the audit may have both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, QueryableByName)]
pub(super) struct Key {
    #[diesel(sql_type = Text)]
    pub(super) id: String,
    #[diesel(sql_type = Timestamptz)]
    pub(super) at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = BigInt)]
    next_page: i64,
    #[diesel(sql_type = BigInt)]
    end_page: i64,
}

/// Has changes noted from now on, under an exclusive lock of the default partition.
pub(super) async fn begin(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let (default_table, id, key) = (parent.default_table(), parent.id(), parent.key());
    let (pages, changes) = (parent.pages_table(), parent.changes_table());
    let owner = owner(connection, parent).await?;
    let statements = format!(
        "CREATE TABLE {pages} (next_page bigint NOT NULL, end_page bigint NOT NULL, file oid NOT NULL); \
         INSERT INTO {pages} SELECT 0, pg_relation_size('{default_table}') / current_setting('block_size')::bigint, \
           pg_relation_filenode('{default_table}'); \
         CREATE TABLE {changes} (\
           number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE \"C\", at timestamptz); \
         CREATE FUNCTION {changes}() RETURNS trigger \
         LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$ \
         BEGIN \
           IF TG_OP IN ('UPDATE', 'DELETE') THEN INSERT INTO {changes} (id, at) VALUES (OLD.{id}, OLD.{key}); END IF; \
           IF TG_OP IN ('INSERT', 'UPDATE') THEN INSERT INTO {changes} (id, at) VALUES (NEW.{id}, NEW.{key}); END IF; \
           RETURN NULL; \
         END $$; \
         ALTER TABLE {pages} OWNER TO {owner}; \
         ALTER TABLE {changes} OWNER TO {owner}; \
         ALTER FUNCTION {changes}() OWNER TO {owner}; \
         CREATE TRIGGER {changes} AFTER INSERT OR UPDATE OR DELETE ON {default_table} \
           FOR EACH ROW EXECUTE FUNCTION {changes}(); \
         ALTER TABLE {default_table} ENABLE ALWAYS TRIGGER {changes}"
    );
    let begun = connection.batch_execute(&statements);
    begun.named("note changes of a default partition").await
}

/// Has changes noted no more.
pub(super) async fn end(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let changes = parent.changes_table();
    let end = format!(
        "DROP FUNCTION {changes}() CASCADE; DROP TABLE {changes}, {}",
        parent.pages_table()
    );
    let ended = connection.batch_execute(&end);
    ended.named("forget changes of a default partition").await
}

/// Whether the default partition was written anew since the beginning, as `VACUUM FULL` and `TRUNCATE` do: rows may then
/// be in pages that were copied before, or gone.
pub(super) async fn is_rewritten(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<bool, StorageError> {
    let is_rewritten = format!(
        "SELECT file <> pg_relation_filenode('{}') FROM {}",
        parent.default_table(),
        parent.pages_table()
    );
    sql::<Bool>(&is_rewritten)
        .get_result(connection)
        .named("look for the file of a default partition")
        .await
}

/// Takes the next pages, and returns the keys of their rows; `None` after the last.
pub(super) async fn take_pages(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    pages_max: u32,
) -> Result<Option<BTreeSet<Key>>, StorageError> {
    let table = parent.pages_table();
    let pages: Pages = sql_query(format!("SELECT next_page, end_page FROM {table}"))
        .get_result(connection)
        .named("find the next pages to copy")
        .await?;
    if pages.next_page >= pages.end_page {
        return Ok(None);
    }
    let (from, until) = (
        pages.next_page,
        (pages.next_page + i64::from(pages_max)).min(pages.end_page),
    );
    sql_query(format!("UPDATE {table} SET next_page = {until}"))
        .execute(connection)
        .named("take pages to copy")
        .await?;
    let keys = format!(
        "SELECT {} AS id, {} AS at FROM {} WHERE ctid >= '({from},0)'::tid AND ctid < '({until},0)'::tid",
        parent.id(),
        parent.key(),
        parent.default_table()
    );
    let keys: Vec<Key> = sql_query(keys)
        .load(connection)
        .named("list rows of pages")
        .await?;
    Ok(Some(keys.into_iter().collect()))
}

/// Takes the oldest changes, and returns their number and the keys of the rows.
pub(super) async fn take_changes(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    changes_max: usize,
) -> Result<(usize, BTreeSet<Key>), StorageError> {
    let table = parent.changes_table();
    let take = format!(
        "DELETE FROM {table} WHERE number = ANY (ARRAY(\
           SELECT number FROM {table} ORDER BY number LIMIT {changes_max})) RETURNING id, at"
    );
    let keys: Vec<Key> = sql_query(take)
        .load(connection)
        .named("take changes to copy")
        .await?;
    Ok((keys.len(), keys.into_iter().collect()))
}

/// Whether there are more changes than this.
pub(super) async fn are_more_than(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    changes: usize,
) -> Result<bool, StorageError> {
    let table = parent.changes_table();
    let count = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT {changes} + 1) changes");
    let count: i64 = sql::<BigInt>(&count)
        .get_result(connection)
        .named("count changes of a default partition")
        .await?;
    Ok(usize::try_from(count).is_ok_and(|count| count > changes))
}
