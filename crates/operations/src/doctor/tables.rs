//! Whether every table can be written: locks of others, and privileges.

use harkara_storage::Pool;
use harkara_storage::grants::Process;
use harkara_storage::inspection::{MissingPrivilege, TableLock, missing_privileges, table_locks};

use super::finding::{Area, Check, Finding};
use super::postgres::unanswered;
use super::probe::within;

/// Checks all tables that commits write.
pub(super) async fn examine(pool: &Pool, process: Process) -> Vec<Finding> {
    let locks = within(table_locks(pool)).await;
    let missing = within(missing_privileges(pool, process)).await;
    match (locks, missing) {
        (Ok(locks), Ok(missing)) => judged(&locks, &missing, process),
        (Err(reason), _) | (_, Err(reason)) => vec![unanswered(check(), &reason)],
    }
}

fn check() -> Check {
    Area::Schema.check("tables")
}

fn judged(locks: &[TableLock], missing: &[MissingPrivilege], process: Process) -> Vec<Finding> {
    if locks.is_empty() && missing.is_empty() {
        return vec![check().ok("none is locked, and the role has the rights that it needs")];
    }
    let locks = locks.iter().map(of_lock);
    let missing = missing.iter().map(|missing| of_privilege(missing, process));
    locks.chain(missing).collect()
}

fn of_lock(lock: &TableLock) -> Finding {
    let table = &lock.table_name;
    let remedy = match lock.pid {
        Some(pid) => format!("end its transaction, or run `SELECT pg_terminate_backend({pid})`"),
        None => {
            "look it up in pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED".to_owned()
        }
    };
    check().problem(
        format!("{lock}: events that change {table} wait until it ends"),
        remedy,
    )
}

fn of_privilege(missing: &MissingPrivilege, process: Process) -> Finding {
    let table = &missing.table_name;
    let effect = match process {
        Process::Ingress => "deliveries cannot be stored while Redis is away",
        Process::Worker => "events that change it wait",
        Process::Console | Process::Migrate => "commands fail",
    };
    match &missing.privilege {
        Some(privilege) => check().problem(
            format!("the role of postgres.url lacks {privilege} on {table}: {effect}"),
            format!("GRANT {privilege} ON {table} to it"),
        ),
        None => check().problem(
            format!("{table} is missing: {effect}"),
            "rename it back, or restore it from a backup",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn each_lock_and_missing_privilege_is_a_problem_that_names_the_table() {
        let lock = TableLock {
            table_name: "payment_disputes".to_owned(),
            pid: Some(4711),
            mode: "AccessExclusiveLock".to_owned(),
            granted: true,
            application: "psql".to_owned(),
            user_name: Some("anna".to_owned()),
            age_seconds: Some(12),
        };
        let prepared = TableLock {
            pid: None,
            application: String::new(),
            user_name: None,
            age_seconds: None,
            ..lock.clone()
        };
        let missing = |privilege: Option<&str>| MissingPrivilege {
            table_name: "payment_orders".to_owned(),
            privilege: privilege.map(str::to_owned),
        };
        let found = judged(
            &[lock, prepared],
            &[missing(Some("INSERT")), missing(None)],
            Process::Worker,
        );
        let expected = [
            (
                "process 4711 (psql) of role anna has AccessExclusiveLock on payment_disputes, in a transaction of 12 s",
                "pg_terminate_backend(4711)",
            ),
            (
                "a prepared transaction has AccessExclusiveLock on payment_disputes",
                "ROLLBACK PREPARED",
            ),
            ("lacks INSERT on payment_orders", "GRANT INSERT"),
            ("payment_orders is missing", "restore"),
        ];
        assert_eq!(found.len(), expected.len());
        for (finding, (told, remedy)) in found.iter().zip(expected) {
            assert_eq!(finding.status, Status::Problem);
            assert!(finding.found.contains(told), "{finding:?}");
            assert!(
                finding.remedy.as_ref().unwrap().contains(remedy),
                "{finding:?}"
            );
        }
        assert_eq!(judged(&[], &[], Process::Worker)[0].status, Status::Ok);
    }
}
