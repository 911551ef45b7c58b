//! How long each statement of an operation took, by name.

use std::cell::RefCell;
use std::future::Future;
use std::time::Instant;

use diesel::QueryResult;

use crate::StorageError;

/// When a statement was sent, and when its answer was there. Statements of one transaction are sent without
/// waiting for each other, so that the time of one holds the wait for those before it.
#[derive(Clone, Copy, Debug)]
pub struct StatementTime {
    /// What it does, such as `insert ledger rows`, or the table that it writes.
    pub name: &'static str,
    /// When it was begun.
    pub from: Instant,
    /// When it was over, whatever its end.
    pub until: Instant,
}

tokio::task_local! {
    static TIMES: RefCell<Vec<StatementTime>>;
}

/// Runs an operation and gives the times of its statements with its result.
pub(crate) async fn collected<T>(operation: impl Future<Output = T>) -> (T, Vec<StatementTime>) {
    let collecting = async {
        let result = operation.await;
        (result, TIMES.with(RefCell::take))
    };
    TIMES.scope(RefCell::default(), collecting).await
}

/// A statement that is run under its name.
pub(crate) trait Named<T>: Future<Output = QueryResult<T>> + Sized {
    /// Runs it; its time goes to whoever collects, and an error tells the name.
    async fn named(self, name: &'static str) -> Result<T, StorageError> {
        let from = Instant::now();
        let result = self.await;
        let time = StatementTime {
            name,
            from,
            until: Instant::now(),
        };
        // Nobody collects where nobody asks for times.
        TIMES.try_with(|times| times.borrow_mut().push(time)).ok();
        result.map_err(StorageError::statement(name))
    }
}

impl<T, F: Future<Output = QueryResult<T>>> Named<T> for F {}
