use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::{ConnectError, Recovery, StorageError, may_be_about_a_table, recovery_after_code};

#[test]
fn a_lost_statement_shows_that_others_use_the_session_also_while_it_is_set_up() {
    for (message, is_shared) in [
        (
            "prepared statement \"s8\" does not exist (SQLSTATE 26000)",
            true,
        ),
        (
            "prepared statement \"s8\" already exists (SQLSTATE 42P05)",
            true,
        ),
        ("permission denied (SQLSTATE 42501)", false),
        ("connection closed", false),
    ] {
        let refused = || {
            let message = Box::new(message.to_owned());
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, message)
        };
        let set_up = ConnectionError::CouldntSetupConfiguration(refused());
        for error in [
            StorageError::from(refused()),
            ConnectError::Session(set_up).into(),
        ] {
            assert_eq!(error.is_shared_session(), is_shared, "{message}");
        }
    }
}

#[test]
fn the_code_decides_the_recovery() {
    const SPLIT: &[&str] = &["57014", "53200", "25P04"];
    const WAIT: &[&str] = &[
        "08006", "0A000", "25006", "25P02", "25P03", "26000", "28000", "3D000", "3F000", "40001",
        "40P01", "42501", "42703", "42P01", "53100", "53300", "55000", "57P01", "57P02", "57P03",
        "58P01",
    ];
    const FIND_DAMAGE: &[&str] = &["58030", "XX001", "XX002"];
    const ISOLATE: &[&str] = &[
        "21000", "22021", "22P05", "23502", "23505", "23514", "44000", "54000", "P0001", "XX000",
        "QX123",
    ];
    for (codes, recovery) in [
        (SPLIT, Recovery::Split),
        (&["55P03"], Recovery::FindLock),
        (FIND_DAMAGE, Recovery::FindDamage),
        (WAIT, Recovery::Wait),
        (ISOLATE, Recovery::Isolate),
    ] {
        for code in codes {
            assert_eq!(recovery_after_code(code), recovery, "{code}");
        }
    }
}

#[test]
fn the_code_tells_whether_one_table_is_at_fault() {
    for code in [
        "42501", "42P01", "42703", "42804", "53100", "55000", "58P01",
    ] {
        assert!(may_be_about_a_table(code), "{code}");
    }
    for code in [
        "0A000", "23514", "25006", "25P02", "40P01", "42P05", "53200", "55P03", "57014", "57P01",
        "58030", "P0001", "XX000", "XX001", "XX002",
    ] {
        assert!(!may_be_about_a_table(code), "{code}");
    }
}
