//! A column: its name and how to read its value from a snapshot.

use harkara_core::ids::{
    AccountId, DisputeId, DowntimeId, InvoiceId, NotificationId, OrderId, PaymentId, PaymentLinkId,
    RefundId, ValidationId,
};
use harkara_core::money::{Currency, MinorUnits};
use harkara_core::projection::Snapshot;
use harkara_core::text::Text;
use harkara_core::time::EventTime;

use crate::statement::Bind;

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

type From<T, V> = fn(&Snapshot<T>) -> V;

enum Get<T: 'static> {
    Text(fn(&Snapshot<T>) -> Option<&str>),
    BigInt(From<T, Option<i64>>),
    Bool(From<T, Option<bool>>),
    Time(From<T, Option<EventTime>>),
}

/// Lists columns by kind (`text`, `bigint`, `bool`, `time`; `greatest`, `least` and `refund_status` grow). A
/// column has the name of its field in the entity unless the field is given.
macro_rules! columns {
    ($($kind:ident: $($name:ident $(= $($field:ident).+)?),+;)+) => {
        vec![$($(columns!(@$kind $name $($($field).+)?)),+),+]
    };
    (@$kind:ident $name:ident) => { columns!(@$kind $name $name) };
    (@text $($column:tt)+) => { columns!(@@text Prevailing $($column)+) };
    (@refund_status $($column:tt)+) => { columns!(@@text RefundStatus $($column)+) };
    (@bigint $($column:tt)+) => { columns!(@@bigint Prevailing $($column)+) };
    (@greatest $($column:tt)+) => { columns!(@@bigint Greatest $($column)+) };
    (@least $($column:tt)+) => { columns!(@@bigint Least $($column)+) };
    (@bool $name:ident $($field:ident).+) => {
        Column::bool(stringify!($name), |s| s.entity.$($field).+)
    };
    (@time $name:ident $($field:ident).+) => {
        Column::time(stringify!($name), |s| s.entity.$($field).+)
    };
    (@@text $growth:ident $name:ident $($field:ident).+) => {
        Column::text(stringify!($name), Growth::$growth, |s| s.entity.$($field).+.as_text())
    };
    (@@bigint $growth:ident $name:ident $($field:ident).+) => {
        Column::bigint(stringify!($name), Growth::$growth, |s| {
            s.entity.$($field).+.map(BigIntField::into_i64)
        })
    };
}
pub(super) use columns;

impl<T> Column<T> {
    fn new(name: &'static str, growth: Growth, get: Get<T>) -> Self {
        Self { name, growth, get }
    }

    pub(super) fn text(
        name: &'static str,
        growth: Growth,
        get: fn(&Snapshot<T>) -> Option<&str>,
    ) -> Self {
        Self::new(name, growth, Get::Text(get))
    }

    pub(super) fn bigint(name: &'static str, growth: Growth, get: From<T, Option<i64>>) -> Self {
        Self::new(name, growth, Get::BigInt(get))
    }

    pub(super) fn bool(name: &'static str, get: From<T, Option<bool>>) -> Self {
        Self::new(name, Growth::Prevailing, Get::Bool(get))
    }

    /// Razorpay's whole seconds, stored as `timestamptz`.
    pub(super) fn time(name: &'static str, get: From<T, Option<EventTime>>) -> Self {
        Self::new(name, Growth::Prevailing, Get::Time(get))
    }

    /// How the column is selected from the arrays.
    pub(super) fn expression(&self) -> String {
        match self.get {
            Get::Time(_) => format!("to_timestamp({})", self.name),
            Get::Text(_) | Get::BigInt(_) | Get::Bool(_) => self.name.to_owned(),
        }
    }

    /// The column's values as a parameter.
    pub(super) fn bind<'a>(&self, rows: &'a [Snapshot<T>]) -> Bind<'a> {
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

/// The columns that every table of snapshots has.
pub(super) fn account_id<T>() -> Column<T> {
    Column::text("account_id", Growth::Prevailing, |s| s.account_id.as_text())
}

pub(super) fn event_type<T>() -> Column<T> {
    Column::text("event_type", Growth::Prevailing, |s| s.event_type.as_text())
}

pub(super) fn occurred_at<T>() -> Column<T> {
    Column::time("occurred_at", |s| s.occurred_at)
}

pub(super) fn precedence<T>() -> Column<T> {
    Column::bigint("precedence", Growth::Prevailing, |s| {
        Some(s.precedence.as_i64())
    })
}

pub(super) fn event_id<T>(name: &'static str) -> Column<T> {
    Column::text(name, Growth::Prevailing, |s| Some(s.event_id.as_str()))
}

/// A field that a text column stores.
pub(super) trait TextField {
    fn as_text(&self) -> Option<&str>;
}

macro_rules! text_fields {
    ($($field:ty),+) => {$(
        impl TextField for $field {
            fn as_text(&self) -> Option<&str> {
                Some(self.as_str())
            }
        }
    )+};
}

text_fields!(
    Text,
    Currency,
    AccountId,
    DisputeId,
    DowntimeId,
    InvoiceId,
    NotificationId,
    OrderId,
    PaymentId,
    PaymentLinkId,
    RefundId,
    ValidationId
);

impl<T: TextField> TextField for Option<T> {
    fn as_text(&self) -> Option<&str> {
        self.as_ref()?.as_text()
    }
}

/// A number that a bigint column stores.
pub(super) trait BigIntField {
    fn into_i64(self) -> i64;
}

impl BigIntField for i64 {
    fn into_i64(self) -> i64 {
        self
    }
}

impl BigIntField for MinorUnits {
    fn into_i64(self) -> i64 {
        self.0
    }
}
