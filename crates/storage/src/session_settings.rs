//! What is set for a session; through a pooler, for each transaction.

use crate::PoolSettings;

/// A 200 or an acknowledgement rests on a commit, so none is confirmed before it is on disk, whatever the
/// default of the server, the database or the role. Levels that wait for replicas are kept.
const WAIT_FOR_COMMITS: &str = "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END";

/// What somebody else may have left in a session of a pooler. Each gets back the default of the role.
const LEFT_BY_OTHERS: [&str; 5] = [
    "synchronous_commit",
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
];

/// The same as `CHECK_CLIENT` of a session, unless the server is too old for it.
const CHECK_CLIENT: &str = "CASE WHEN current_setting('client_connection_check_interval', true) IS NOT NULL \
     THEN set_config('client_connection_check_interval', '1s', true) END";

/// Settings, in the order in which they are made.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings(Vec<(String, String)>);

impl SessionSettings {
    /// Those of a pool: what the URL sets, and what we rely on.
    pub(crate) fn of_pool(settings: &PoolSettings) -> Self {
        let mut all = Self::of_migrations(settings);
        let timeout_ms = settings.statement_timeout.as_millis();
        for timeout in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            all.0.push((timeout.to_owned(), format!("'{timeout_ms}'")));
        }
        if let Some(lock_timeout) = settings.lock_timeout {
            let lock_timeout = lock_timeout.min(settings.statement_timeout / 2);
            let value = format!("'{}'", lock_timeout.as_millis());
            all.0.push(("lock_timeout".to_owned(), value));
        }
        let durability = ("synchronous_commit".to_owned(), WAIT_FOR_COMMITS.to_owned());
        all.0.push(durability);
        all
    }

    /// Those of migrations, which may take their time.
    pub(crate) fn of_migrations(settings: &PoolSettings) -> Self {
        let mut all: Vec<_> = settings
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect();
        for (name, value) in [("timezone", "'UTC'"), ("client_encoding", "'UTF8'")] {
            all.push((name.to_owned(), value.to_owned()));
        }
        Self(all)
    }

    /// A query that sets them for the session.
    pub(crate) fn for_session(&self) -> String {
        let each = self.0.iter().map(|(name, value)| set(name, value, "false"));
        format!("SELECT {}", each.collect::<Vec<_>>().join(", "))
    }

    /// A query that sets them for the transaction.
    pub(crate) fn for_transaction(&self) -> String {
        let reset = LEFT_BY_OTHERS.iter().map(|name| set(name, "NULL", "true"));
        let each = self.0.iter().map(|(name, value)| set(name, value, "true"));
        let all = reset.chain(each).chain([CHECK_CLIENT.to_owned()]);
        format!("SELECT {}", all.collect::<Vec<_>>().join(", "))
    }
}

fn set(name: &str, value: &str, is_local: &str) -> String {
    format!("set_config({}, {value}, {is_local})", literal(name))
}

/// A text as a literal that means the same whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::{literal, set};

    #[test]
    fn texts_are_escaped() {
        assert_eq!(literal(r"a'b\c"), r"E'a''b\\c'");
        assert_eq!(
            set("search_path", "NULL", "true"),
            "set_config(E'search_path', NULL, true)"
        );
    }
}
