//! A column: its name and where its value comes from.

use harkara_core::money::{Currency, MinorUnits};
use harkara_core::projection::Snapshot;
use harkara_core::time::EventTime;

use crate::statement::Bind;

/// A column of a table of snapshots of `T`.
pub(super) struct Column<T: 'static> {
    pub(super) name: &'static str,
    pub(super) growth: Growth,
    get: Get<T>,
}

/// What becomes of a column when snapshots merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// The prevailing snapshot gives it.
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

impl<T> Column<T> {
    const fn new(name: &'static str, get: Get<T>) -> Self {
        Self {
            name,
            growth: Growth::Prevailing,
            get,
        }
    }

    pub(super) const fn text(name: &'static str, get: fn(&Snapshot<T>) -> Option<&str>) -> Self {
        Self::new(name, Get::Text(get))
    }

    pub(super) const fn bigint(name: &'static str, get: From<T, Option<i64>>) -> Self {
        Self::new(name, Get::BigInt(get))
    }

    /// A number that grows in its own way, whichever snapshot prevails.
    pub(super) const fn growing_bigint(
        name: &'static str,
        growth: Growth,
        get: From<T, Option<i64>>,
    ) -> Self {
        Self {
            name,
            growth,
            get: Get::BigInt(get),
        }
    }

    /// A text that grows in its own way, whichever snapshot prevails.
    pub(super) const fn growing_text(
        name: &'static str,
        growth: Growth,
        get: fn(&Snapshot<T>) -> Option<&str>,
    ) -> Self {
        Self {
            name,
            growth,
            get: Get::Text(get),
        }
    }

    pub(super) const fn bool(name: &'static str, get: From<T, Option<bool>>) -> Self {
        Self::new(name, Get::Bool(get))
    }

    /// Razorpay's whole seconds, stored as `timestamptz`.
    pub(super) const fn time(name: &'static str, get: From<T, Option<EventTime>>) -> Self {
        Self::new(name, Get::Time(get))
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
    Column::text("account_id", |s| {
        s.account_id
            .as_ref()
            .map(harkara_core::ids::AccountId::as_str)
    })
}

pub(super) fn event_type<T>() -> Column<T> {
    Column::text("event_type", |s| Some(&s.event_type))
}

pub(super) fn occurred_at<T>() -> Column<T> {
    Column::time("occurred_at", |s| s.occurred_at)
}

pub(super) fn precedence<T>() -> Column<T> {
    Column::bigint("precedence", |s| Some(s.precedence.as_i64()))
}

pub(super) fn event_id<T>(name: &'static str) -> Column<T> {
    Column::text(name, |s| Some(s.event_id.as_str()))
}

pub(super) fn minor(amount: Option<MinorUnits>) -> Option<i64> {
    amount.map(|amount| amount.0)
}

pub(super) fn code(currency: Option<&Currency>) -> Option<&str> {
    currency.map(Currency::as_str)
}
