//! The SQLSTATE code of each error of PostgreSQL.
//!
//! PostgreSQL translates its messages, and diesel keeps the message of an error without its code (it names eight
//! codes; the others are `Unknown`). So a connection appends the code to each message as it arrives, in
//! [`coded_errors`], and errors are judged by what [`of_message`] reads there. An accessor in diesel would make
//! this module unnecessary: <https://github.com/diesel-rs/diesel/pull/5232>.

mod coded_errors;
mod connector;

use tokio_postgres::error::SqlState;

use coded_errors::CodedErrors;
pub(crate) use connector::{Layered, Plain, plain};

const BEFORE_CODE: &str = " (SQLSTATE ";
const AFTER_CODE: &str = ")";

/// The bytes of a code: two for its class, three within it.
const CODE_BYTES: usize = 5;

/// The code at the end of a message of the server; `None` for a message of the driver.
pub(crate) fn of_message(message: &str) -> Option<SqlState> {
    let (_, code) = message.strip_suffix(AFTER_CODE)?.rsplit_once(BEFORE_CODE)?;
    (code.len() == CODE_BYTES).then(|| SqlState::from_code(code))
}

#[cfg(test)]
mod tests {
    use super::{SqlState, of_message};

    #[test]
    fn the_code_is_read_from_the_end_of_the_message() {
        for (message, code) in [
            (
                "keine Berechtigung (SQLSTATE 42501)",
                Some(SqlState::INSUFFICIENT_PRIVILEGE),
            ),
            (
                "a row says (SQLSTATE 53100) (SQLSTATE 23514)",
                Some(SqlState::CHECK_VIOLATION),
            ),
            ("connection closed", None),
            ("(SQLSTATE 1)", None),
            (" (SQLSTATE 1)", None),
        ] {
            assert_eq!(of_message(message), code, "{message}");
        }
    }
}
