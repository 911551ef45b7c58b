//! The server's version and role, and how many connections it allows.

use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel::{QueryableByName, sql_query};

use crate::{Pool, StorageError};

/// A server as the role of the settings sees it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ServerState {
    /// Its version, such as `15.3`.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// The same as a number, such as 150003.
    #[diesel(sql_type = Integer)]
    pub version_number: i32,
    /// Whether it is a standby, which cannot be written to.
    #[diesel(sql_type = Bool)]
    pub is_standby: bool,
    /// Whether transactions only read, by a setting of the server, the database or the role.
    #[diesel(sql_type = Bool)]
    pub is_read_only: bool,
    /// Whether the role may do everything.
    #[diesel(sql_type = Bool)]
    pub is_superuser: bool,
    /// `max_connections`.
    #[diesel(sql_type = Integer)]
    pub connections_max: i32,
    /// How many of them are reserved for other roles.
    #[diesel(sql_type = Integer)]
    pub connections_reserved: i32,
    /// Maximum connections of this role; negative if it has no limit.
    #[diesel(sql_type = Integer)]
    pub role_connections_max: i32,
    /// Maximum connections of this database; negative if it has no limit.
    #[diesel(sql_type = Integer)]
    pub database_connections_max: i32,
    /// Connections of clients whose application name is not ours.
    #[diesel(sql_type = BigInt)]
    pub other_connections: i64,
    /// `synchronous_standby_names`; a commit waits for these where it is not empty.
    #[diesel(sql_type = Text)]
    pub synchronous_standbys: String,
    /// Standbys that are connected.
    #[diesel(sql_type = BigInt)]
    pub standbys: i64,
}

impl ServerState {
    /// Connections that this role may open on this database while nobody else has any.
    #[must_use]
    pub fn connections_allowed(&self) -> u32 {
        let of_server = self.connections_max - self.connections_reserved;
        least(
            of_server,
            [self.role_connections_max, self.database_connections_max],
        )
    }
}

/// The least of a bound and of further ones, of which negative ones do not count.
fn least(bound: i32, further: [i32; 2]) -> u32 {
    let further = further.into_iter().filter(|bound| *bound >= 0);
    u32::try_from(further.fold(bound, i32::min)).unwrap_or(0)
}

/// Queries the server. Needs no special rights: a plain role sees the application name of every backend, but
/// not its type; background processes are those without a user.
pub async fn server_state(pool: &Pool) -> Result<ServerState, StorageError> {
    let query = sql_query(
        "SELECT current_setting('server_version') AS version, \
           current_setting('server_version_num')::integer AS version_number, \
           pg_is_in_recovery() AS is_standby, \
           current_setting('transaction_read_only') = 'on' AS is_read_only, \
           role.rolsuper AS is_superuser, \
           current_setting('max_connections')::integer AS connections_max, \
           CASE WHEN role.rolsuper THEN 0 \
             ELSE current_setting('superuser_reserved_connections')::integer \
               + coalesce(current_setting('reserved_connections', true)::integer, 0) END AS connections_reserved, \
           CASE WHEN role.rolsuper THEN -1 ELSE role.rolconnlimit END AS role_connections_max, \
           CASE WHEN role.rolsuper THEN -1 ELSE base.datconnlimit END AS database_connections_max, \
           (SELECT count(*) FROM pg_stat_activity \
            WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND application_name NOT LIKE 'harkara%') \
             AS other_connections, \
           current_setting('synchronous_standby_names') AS synchronous_standbys, \
           (SELECT count(*) FROM pg_stat_replication) AS standbys \
         FROM pg_roles role, pg_database base \
         WHERE role.rolname = current_user AND base.datname = current_database()",
    );
    pool.get_row("ask for the server's state", query).await
}

#[cfg(test)]
mod tests {
    use super::least;

    #[test]
    fn the_least_of_the_bounds_on_connections_holds() {
        for (further, allowed) in [
            ([-1, -1], 97),
            ([40, -1], 40),
            ([-1, 0], 0),
            ([200, 150], 97),
        ] {
            assert_eq!(least(97, further), allowed);
        }
    }
}
