//! A statement over arrays: its text does not depend on the size of a batch, so the server prepares it
//! once a connection.

use std::marker::PhantomData;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};

/// The text of a statement around its parameters, which stand in one list:
/// `before $1::text[], $2::bigint[] after`.
#[derive(Debug)]
pub(crate) struct SqlText {
    pub(crate) before: String,
    pub(crate) after: String,
}

impl SqlText {
    /// Cuts a statement at `{}`, where its list of parameters belongs.
    pub(crate) fn cut(text: &str) -> Self {
        let (before, after) = text
            .split_once("{}")
            .expect("the statement has a place for its parameters");
        Self {
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }
}

/// One parameter: an array with an element for each row.
#[derive(Debug)]
pub(crate) enum Bind<'a> {
    Text(Vec<Option<&'a str>>),
    BigInt(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Bytes(Vec<&'a [u8]>),
}

/// A statement with its parameters, giving rows of `Row` SQL types.
pub(crate) struct Statement<'a, Row> {
    text: &'a SqlText,
    binds: Vec<Bind<'a>>,
    row: PhantomData<fn() -> Row>,
}

impl<'a, Row> Statement<'a, Row> {
    pub(crate) fn new(text: &'a SqlText, binds: Vec<Bind<'a>>) -> Self {
        Self {
            text,
            binds,
            row: PhantomData,
        }
    }
}

impl<Row> Query for Statement<'_, Row> {
    type SqlType = Row;
}

impl<Row> QueryId for Statement<'_, Row> {
    type QueryId = ();
    // The text decides, not the type: diesel then keeps the prepared statement under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> QueryFragment<Pg> for Statement<'_, Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&self.text.before);
        for (at, bind) in self.binds.iter().enumerate() {
            if at > 0 {
                out.push_sql(", ");
            }
            match bind {
                Bind::Text(values) => {
                    out.push_bind_param::<Array<Nullable<Text>>, _>(values)?;
                    out.push_sql("::text[]");
                }
                Bind::BigInt(values) => {
                    out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?;
                    out.push_sql("::bigint[]");
                }
                Bind::Bool(values) => {
                    out.push_bind_param::<Array<Nullable<Bool>>, _>(values)?;
                    out.push_sql("::boolean[]");
                }
                Bind::Bytes(values) => {
                    out.push_bind_param::<Array<Binary>, _>(values)?;
                    out.push_sql("::bytea[]");
                }
            }
        }
        out.push_sql(&self.text.after);
        Ok(())
    }
}
