//! Whether every index exists and is usable. Without one, statements read whole tables; without a unique
//! one, an event may take effect twice.

use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, sql_query};

use crate::{Pool, StorageError};

/// An index of the migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Index {
    /// Its table; a partitioned table includes its partitions.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it refuses duplicate values.
    pub is_unique: bool,
}

/// Every index of the schema, by table and name. A test compares it with a fresh database.
pub const INDEXES: &[Index] = &[
    index("account_events", "account_events_latest"),
    unique("account_events", "account_events_pkey"),
    index("audit_logs", "audit_logs_entity"),
    index("audit_logs", "audit_logs_event"),
    index("downtime_events", "downtime_events_latest"),
    unique("downtime_events", "downtime_events_pkey"),
    unique("entity_snapshots", "entity_snapshots_pkey"),
    unique("event_identities", "event_identities_body_sha256_key"),
    index("event_identities", "event_identities_created_at"),
    unique("event_identities", "event_identities_pkey"),
    index("fund_account_events", "fund_account_events_latest"),
    unique("fund_account_events", "fund_account_events_pkey"),
    unique("harkara_schema", "harkara_schema_pkey"),
    index("invoice_events", "invoice_events_latest"),
    unique("invoice_events", "invoice_events_pkey"),
    index("order_notifications", "order_notifications_order"),
    unique("order_notifications", "order_notifications_pkey"),
    index("payment_disputes", "payment_disputes_payment"),
    unique("payment_disputes", "payment_disputes_pkey"),
    index("payment_disputes", "payment_disputes_respond_by"),
    index("payment_link_events", "payment_link_events_latest"),
    unique("payment_link_events", "payment_link_events_pkey"),
    index("payment_orders", "payment_orders_created"),
    unique("payment_orders", "payment_orders_pkey"),
    index("payment_orders", "payment_orders_receipt"),
    index("payment_refunds", "payment_refunds_payment"),
    unique("payment_refunds", "payment_refunds_pkey"),
    index("payment_transactions", "payment_transactions_created"),
    index("payment_transactions", "payment_transactions_order"),
    unique("payment_transactions", "payment_transactions_pkey"),
    index("webhook_events", "webhook_events_created_at"),
    index("webhook_events", "webhook_events_dead_letters"),
    index("webhook_events", "webhook_events_due"),
    unique("webhook_events", "webhook_events_pkey"),
];

const fn index(table: &'static str, name: &'static str) -> Index {
    Index {
        table,
        name,
        is_unique: false,
    }
}

const fn unique(table: &'static str, name: &'static str) -> Index {
    Index {
        table,
        name,
        is_unique: true,
    }
}

/// A problem with an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexProblem {
    /// It does not exist.
    Missing(Index),
    /// An index of its name accepts duplicate values.
    NotUnique(Index),
    /// It serves no query: its creation was interrupted, or a partition lacks it. It may be one that no
    /// migration created.
    Invalid {
        /// Its table, perhaps a partition.
        table: String,
        /// Its name.
        name: String,
    },
}

/// An index that the database has.
#[derive(Clone, Debug, QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    table_name: String,
    /// The table that it is a partition of, or itself.
    #[diesel(sql_type = Text)]
    root_name: String,
    #[diesel(sql_type = Text)]
    index_name: String,
    #[diesel(sql_type = Bool)]
    is_unique: bool,
    #[diesel(sql_type = Bool)]
    is_valid: bool,
}

/// Compares the indexes with [`INDEXES`]. The schema must exist.
pub async fn index_problems(pool: &Pool) -> Result<Vec<IndexProblem>, StorageError> {
    let query = sql_query(
        "SELECT t.relname::text AS table_name, root.relname::text AS root_name, c.relname::text AS index_name, \
           i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
           JOIN pg_class root ON root.oid = coalesce(pg_partition_root(t.oid), t.oid) \
         WHERE t.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('webhook_events')) \
         ORDER BY table_name, index_name",
    );
    let found: Vec<Found> = pool.load("read indexes", query).await?;
    Ok(problems(&found))
}

fn problems(found: &[Found]) -> Vec<IndexProblem> {
    let expected = INDEXES.iter().filter_map(|index| {
        let is_same = |f: &&Found| f.table_name == index.table && f.index_name == index.name;
        match found.iter().find(is_same) {
            None => Some(IndexProblem::Missing(*index)),
            Some(found) if index.is_unique && !found.is_unique => {
                Some(IndexProblem::NotUnique(*index))
            }
            Some(_) => None,
        }
    });
    let is_ours = |f: &&Found| INDEXES.iter().any(|index| index.table == f.root_name);
    let invalid = found
        .iter()
        .filter(is_ours)
        .filter(|found| !found.is_valid)
        .map(|found| IndexProblem::Invalid {
            table: found.table_name.clone(),
            name: found.index_name.clone(),
        });
    expected.chain(invalid).collect()
}

#[cfg(test)]
mod tests {
    use super::{Found, INDEXES, IndexProblem, problems};

    fn found(table: &str, root: &str, index: &str, is_unique: bool, is_valid: bool) -> Found {
        Found {
            table_name: table.to_owned(),
            root_name: root.to_owned(),
            index_name: index.to_owned(),
            is_unique,
            is_valid,
        }
    }

    #[test]
    fn an_index_is_a_problem_if_it_lost_its_uniqueness_or_is_invalid_unless_its_table_is_foreign() {
        assert!(INDEXES.is_sorted());
        let sound = |i: &super::Index| found(i.table, i.table, i.name, i.is_unique, true);
        let mut all: Vec<Found> = INDEXES.iter().map(sound).collect();
        assert_eq!(problems(&all), []);

        let key = all
            .iter()
            .position(|f| f.index_name == "event_identities_pkey");
        all[key.unwrap()].is_unique = false;
        all.push(found(
            "webhook_events_2026_11",
            "webhook_events",
            "by_hand",
            false,
            false,
        ));
        all.push(found("orders", "orders", "of_orders", false, false));
        let identity = INDEXES
            .iter()
            .find(|index| index.name == "event_identities_pkey");
        assert_eq!(
            problems(&all),
            [
                IndexProblem::NotUnique(*identity.unwrap()),
                IndexProblem::Invalid {
                    table: "webhook_events_2026_11".to_owned(),
                    name: "by_hand".to_owned(),
                }
            ]
        );
    }
}
