//! A column: its name and how to read its value from a snapshot.

use harkara_core::projection::Snapshot;
use harkara_core::time::EventTime;

use crate::statement::{Bind, SqlText, Statement};

/// A column of a table of snapshots of `T`.
pub(super) struct Column<T: 'static> {
    pub(super) name: &'static str,
    pub(super) growth: Growth,
    get: Get<T>,
}

/// How a column merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// The value of the prevailing snapshot.
    Prevailing,
    /// The greatest of both, whichever prevails.
    Greatest,
    /// The least of both.
    Least,
    /// `full` before all, otherwise the greatest: a refund status only moves on.
    RefundStatus,
}

/// How to read a column's value. Times are Razorpay's whole seconds, stored as `timestamptz`.
pub(super) enum Get<T: 'static> {
    Text(fn(&Snapshot<T>) -> Option<&str>),
    BigInt(fn(&Snapshot<T>) -> Option<i64>),
    Bool(fn(&Snapshot<T>) -> Option<bool>),
    Time(fn(&Snapshot<T>) -> Option<EventTime>),
}

/// Lists columns by kind: `required` and optional `text`, `bool`, `time`, `bigint`, and `amount` in minor units;
/// `greatest`, `greatest_amount`, `least_amount` and `refund_status` grow. A column has the name of its field in
/// the entity unless the field is given.
macro_rules! columns {
    ($($kind:ident: $($name:ident $(= $($field:ident).+)?),+;)+) => {
        vec![$($(columns!(@$kind $name $($($field).+)?)),+),+]
    };
    (@$kind:ident $name:ident) => { columns!(@$kind $name $name) };
    (@required $name:ident $($field:ident).+) => {
        Column::new(stringify!($name), Growth::Prevailing, Get::Text(|s| Some(s.entity.$($field).+.as_str())))
    };
    (@text $($column:tt)+) => { columns!(@@text Prevailing $($column)+) };
    (@refund_status $($column:tt)+) => { columns!(@@text RefundStatus $($column)+) };
    (@bigint $($column:tt)+) => { columns!(@@bigint Prevailing $($column)+) };
    (@greatest $($column:tt)+) => { columns!(@@bigint Greatest $($column)+) };
    (@amount $($column:tt)+) => { columns!(@@amount Prevailing $($column)+) };
    (@greatest_amount $($column:tt)+) => { columns!(@@amount Greatest $($column)+) };
    (@least_amount $($column:tt)+) => { columns!(@@amount Least $($column)+) };
    (@bool $name:ident $($field:ident).+) => {
        Column::new(stringify!($name), Growth::Prevailing, Get::Bool(|s| s.entity.$($field).+))
    };
    (@time $name:ident $($field:ident).+) => {
        Column::new(stringify!($name), Growth::Prevailing, Get::Time(|s| s.entity.$($field).+))
    };
    (@@text $growth:ident $name:ident $($field:ident).+) => {
        Column::new(
            stringify!($name),
            Growth::$growth,
            Get::Text(|s| Some(s.entity.$($field).+.as_ref()?.as_str())),
        )
    };
    (@@bigint $growth:ident $name:ident $($field:ident).+) => {
        Column::new(stringify!($name), Growth::$growth, Get::BigInt(|s| s.entity.$($field).+))
    };
    (@@amount $growth:ident $name:ident $($field:ident).+) => {
        Column::new(stringify!($name), Growth::$growth, Get::BigInt(|s| Some(s.entity.$($field).+?.0)))
    };
}
pub(super) use columns;

impl<T> Column<T> {
    pub(super) fn new(name: &'static str, growth: Growth, get: Get<T>) -> Self {
        Self { name, growth, get }
    }

    /// How the column is selected from the arrays.
    fn expression(&self) -> String {
        match self.get {
            Get::Time(_) => format!("to_timestamp({})", self.name),
            Get::Text(_) | Get::BigInt(_) | Get::Bool(_) => self.name.to_owned(),
        }
    }

    /// The column's values as a parameter.
    fn bind<'a>(&self, rows: &'a [Snapshot<T>]) -> Bind<'a> {
        match self.get {
            Get::Text(get) => Bind::Text(rows.iter().map(get).collect()),
            Get::BigInt(get) => Bind::BigInt(rows.iter().map(get).collect()),
            Get::Bool(get) => Bind::Bool(rows.iter().map(get).collect()),
            Get::Time(get) => Bind::BigInt(
                rows.iter()
                    .map(|row| get(row).map(EventTime::seconds))
                    .collect(),
            ),
        }
    }
}

/// A table's columns, and the statement that writes its rows.
pub(super) struct Table<T: 'static> {
    pub(super) name: &'static str,
    columns: Vec<Column<T>>,
    text: SqlText,
}

impl<T> Table<T> {
    /// A table that is written by a statement around `SELECT {expressions} FROM ({}) AS i`, whose rows have all
    /// columns. Never freed.
    pub(super) fn new(name: &'static str, columns: Vec<Column<T>>, statement: String) -> Self {
        let text = SqlText::cut(statement.leak());
        Self {
            name,
            columns,
            text,
        }
    }

    pub(super) fn statement<'a, Row>(&'a self, rows: &'a [Snapshot<T>]) -> Statement<'a, Row> {
        let columns = self
            .columns
            .iter()
            .map(|column| (column.name, column.bind(rows)));
        Statement::new(&self.text, columns.collect())
    }
}

/// The names of columns, and how each is selected from the arrays.
pub(super) fn names_and_expressions<T>(columns: &[Column<T>]) -> (String, String) {
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let expressions: Vec<_> = columns.iter().map(Column::expression).collect();
    (names.join(", "), expressions.join(", "))
}

/// The columns that every table of snapshots has.
pub(super) fn account_id<T>() -> Column<T> {
    let get = Get::Text(|s| Some(s.account_id.as_ref()?.as_str()));
    Column::new("account_id", Growth::Prevailing, get)
}

pub(super) fn event_type<T>() -> Column<T> {
    let get = Get::Text(|s| Some(s.event_type.as_str()));
    Column::new("event_type", Growth::Prevailing, get)
}

pub(super) fn occurred_at<T>() -> Column<T> {
    Column::new(
        "occurred_at",
        Growth::Prevailing,
        Get::Time(|s| s.occurred_at),
    )
}

pub(super) fn precedence<T>() -> Column<T> {
    let get = Get::BigInt(|s| Some(s.precedence.as_i64()));
    Column::new("precedence", Growth::Prevailing, get)
}

pub(super) fn event_id<T>(name: &'static str) -> Column<T> {
    let get = Get::Text(|s| Some(s.event_id.as_str()));
    Column::new(name, Growth::Prevailing, get)
}
