//! The status of an event.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::Text;
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};

/// The status of a ledger row; its text is the column's value.
#[derive(
    Clone, Copy, Debug, Display, EnumString, Eq, FromSqlRow, IntoStaticStr, PartialEq, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventStatus {
    /// Applied to the tables.
    Processed,
    /// To be attempted at its `next_attempt_at`.
    Pending,
    /// A dead letter.
    Failed,
}

impl EventStatus {
    /// The status as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl FromSql<Text, Pg> for EventStatus {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(std::str::from_utf8(value.as_bytes())?.parse()?)
    }
}
