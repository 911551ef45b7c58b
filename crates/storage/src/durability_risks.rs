//! Server settings under which a confirmed commit may be lost.

use std::fmt;

use diesel::dsl::sql;
use diesel::sql_types::Text;

use crate::{Pool, StorageError};

/// A setting of the server under which committed work may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// The setting's name.
    pub setting: &'static str,
    /// The value that makes it a risk.
    pub value: String,
}

/// Settings, and the value that makes a commit uncertain. (`synchronous_commit` is not among them: every
/// connection of a [`Pool`] sets its own.)
const RISKY: [(&str, &str); 2] = [("fsync", "off"), ("full_page_writes", "off")];

/// The risky settings of the server. An entry is acknowledged once its commit was confirmed; under these a
/// crash of the server may undo a confirmed commit.
pub async fn risks(pool: &Pool) -> Result<Vec<Risk>, StorageError> {
    let mut risks = Vec::new();
    for (setting, risky) in RISKY {
        let query = sql::<Text>(&format!("SELECT current_setting('{setting}')"));
        let value: String = pool.get_row("read server settings", query).await?;
        if value == risky {
            risks.push(Risk { setting, value });
        }
    }
    Ok(risks)
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PostgreSQL runs with {} = {}: a crash of the server may lose acknowledged events. Set it to on.",
            self.setting, self.value
        )
    }
}
