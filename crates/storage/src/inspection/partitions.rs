//! Whether the coming months have their partitions, and whether the role can add more.

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Integer, Text};

use crate::partitions::{MONTHS_AHEAD, default_rows};
use crate::{Pool, StorageError};

/// Partitions of the ledger and of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    /// Missing partitions of this month and of the months ahead, by name.
    pub missing: Vec<String>,
    /// Default partitions that hold rows, which came in a month without a partition. `None` if the role may not look
    /// into them.
    pub defaults_in_use: Option<Vec<String>>,
    /// What the role of the settings lacks for adding partitions and for looking into the default ones, such as "the
    /// rights of the owner …".
    pub rights_missing: Vec<String>,
}

/// The default partitions that the role may not look into.
const UNREADABLE: &str = "(VALUES ('webhook_events_default'), ('audit_logs_default')) unreadable (name) \
    WHERE NOT has_table_privilege(name, 'SELECT')";

/// Looks for the partitions that [`crate::partitions::ensure`] adds, except last month's, for rows in the
/// default ones, and for the rights that it needs. The schema must exist.
pub async fn partitions(pool: &Pool) -> Result<Partitions, StorageError> {
    let missing = sql::<Text>(
        "SELECT parent || '_' || to_char(month, 'YYYY\"_\"MM') \
         FROM (VALUES ('webhook_events'), ('audit_logs')) parents (parent), \
           generate_series(0, ",
    )
    .bind::<Integer, _>(MONTHS_AHEAD)
    .sql(
        ") AS months (ahead), \
           LATERAL (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') \
             + make_interval(months => ahead) AS month) beginnings \
         WHERE NOT EXISTS (SELECT FROM harkara_partition_ranges(parent) \
           WHERE begins <= month AT TIME ZONE 'UTC' AND ends >= (month + interval '1 month') AT TIME ZONE 'UTC') \
         ORDER BY ahead, parent",
    );
    // Attaching takes the rights of the owner of both tables, and creating a table those on the schema.
    let rights_missing = sql::<Text>(
        "SELECT format('the rights of %I, who owns %s', owner, string_agg(name, ', ' ORDER BY name)) \
         FROM (SELECT relname::text AS name, relowner, pg_get_userbyid(relowner) AS owner FROM pg_class \
           WHERE oid IN ('webhook_events'::regclass, 'webhook_events_default'::regclass, \
             'audit_logs'::regclass, 'audit_logs_default'::regclass)) tables \
         WHERE NOT pg_has_role(relowner, 'USAGE') GROUP BY owner \
         UNION ALL SELECT format('CREATE on the schema %I', current_schema()) \
         WHERE NOT has_schema_privilege(current_schema(), 'CREATE') \
         UNION ALL SELECT format('SELECT on %s', unreadable.name) FROM ",
    )
    .sql(UNREADABLE);
    let missing = pool.load("look for partitions", missing).await?;
    let rights_missing = pool.load("look for rights", rights_missing).await?;
    let unreadable = sql::<BigInt>("SELECT count(*) FROM ").sql(UNREADABLE);
    let unreadable: i64 = pool.get_row("look for rights", unreadable).await?;
    let defaults_in_use = if unreadable == 0 {
        let rows = default_rows(pool).await?.into_iter();
        let in_use = rows.filter(|default| default.rows > 0);
        Some(
            in_use
                .map(|default| format!("{}_default", default.table))
                .collect(),
        )
    } else {
        None
    };
    Ok(Partitions {
        missing,
        defaults_in_use,
        rights_missing,
    })
}
