//! How long each statement of an operation took, by name.

use std::cell::RefCell;
use std::future::Future;
use std::time::Instant;

use diesel::QueryResult;

use crate::StorageError;

/// When a statement was sent and when its answer arrived. Statements of one transaction are pipelined, so the
/// time of one includes the wait for those before it.
#[derive(Clone, Copy, Debug)]
pub struct StatementTime {
    /// Its operation, such as `insert ledger rows`, or the table that it writes.
    pub name: &'static str,
    /// When it was sent.
    pub from: Instant,
    /// When it succeeded or failed.
    pub until: Instant,
}

tokio::task_local! {
    static TIMES: RefCell<Vec<StatementTime>>;
}

/// Runs an operation, and returns its result with the times of its statements.
pub(crate) async fn collected<T>(operation: impl Future<Output = T>) -> (T, Vec<StatementTime>) {
    let collecting = async {
        let result = operation.await;
        (result, TIMES.with(RefCell::take))
    };
    TIMES.scope(RefCell::default(), collecting).await
}

/// A statement that runs under a name.
pub(crate) trait Named<T>: Future<Output = QueryResult<T>> + Sized {
    /// Runs it under a name, which its time and its error have.
    async fn named(self, name: &'static str) -> Result<T, StorageError> {
        let from = Instant::now();
        let result = self.await;
        let time = StatementTime {
            name,
            from,
            until: Instant::now(),
        };
        // An error means that nobody collects times.
        TIMES.try_with(|times| times.borrow_mut().push(time)).ok();
        result.map_err(StorageError::statement(name))
    }
}

impl<T, F: Future<Output = QueryResult<T>>> Named<T> for F {}
