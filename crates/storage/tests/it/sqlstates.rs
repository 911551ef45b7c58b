//! Errors are judged by their SQLSTATE, whatever the language of the server and its poolers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harkara_storage::Recovery;
use harkara_storage::migrations::migrate;
use harkara_testkit::{Folder, PostgresPlan, PostgresServer, TestDatabase, pool_settings};

use crate::failures::{captured, pool_of_one, refused};
use crate::records::all_claimed;
use crate::store::{Store, commit};

/// A projection that fails with any code, under a text that says nothing.
const FAILING: &str = "CREATE TABLE failure (code text); \
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
      RAISE EXCEPTION USING ERRCODE = (SELECT code FROM failure), MESSAGE = 'Fehler: does not exist'; \
    END $$; \
    CREATE TRIGGER fails BEFORE INSERT ON payment_transactions FOR EACH ROW EXECUTE FUNCTION fail()";

#[tokio::test]
async fn the_code_of_an_error_decides_and_not_its_text() {
    let store = Store::migrated().await;
    store.execute(FAILING).await;
    let event = captured("evt");
    for (recovery, codes) in [
        (Recovery::Split, &["57014", "53200"][..]),
        (Recovery::FindLock, &["55P03"]),
        (Recovery::FindDamage, &["58030", "XX001", "XX002"]),
        (Recovery::Wait, &["40P01", "57P01"]),
        (Recovery::Postpone, &["42501", "42P01", "53100"]),
        (
            Recovery::Isolate,
            &["22P02", "23505", "23514", "54000", "P0001", "XX000"],
        ),
    ] {
        for code in codes {
            let fails = format!("DELETE FROM failure; INSERT INTO failure VALUES ('{code}')");
            store.execute(&fails).await;
            let error = refused(&store.pool, [&event], recovery).await.full();
            let expected = format!("Fehler: does not exist (SQLSTATE {code})");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_in_another_language_is_waited_for_and_split_as_any() {
    let server = PostgresServer::german().await;
    migrate(&pool_settings(&server.url())).await.unwrap();
    let admin = TestDatabase::at(server.superuser_url()).await;
    let pool = pool_of_one(
        &server.url(),
        Duration::from_secs(5),
        Duration::from_secs(2),
    );
    let event = captured("evt");
    for (breaks, mends, recovery, told) in [
        (
            "REVOKE INSERT ON payment_transactions FROM harkara",
            "GRANT INSERT ON payment_transactions TO harkara",
            Recovery::Postpone,
            "keine Berechtigung",
        ),
        (
            "ALTER TABLE payment_transactions RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO payment_transactions",
            Recovery::Postpone,
            "existiert nicht",
        ),
        (
            "BEGIN; LOCK TABLE payment_transactions",
            "ROLLBACK",
            Recovery::Split,
            "storniere Anfrage",
        ),
        (
            "ALTER TABLE payment_transactions ADD CONSTRAINT odd CHECK (false) NOT VALID",
            "ALTER TABLE payment_transactions DROP CONSTRAINT odd",
            Recovery::Isolate,
            "verletzt Check-Constraint",
        ),
    ] {
        admin.execute(breaks).await;
        let error = refused(&pool, [&event], recovery).await.full();
        admin.execute(mends).await;
        // Elsewhere the catalogues of messages may be missing.
        assert!(
            error.contains(told) || !cfg!(target_os = "linux"),
            "{error}"
        );
    }
    assert_eq!(
        commit(&pool, all_claimed([&event]))
            .await
            .unwrap()
            .outcome()
            .processed,
        1
    );
}

#[tokio::test]
async fn errors_over_a_unix_socket_have_their_code_too() {
    let folder = Folder::new();
    // The server may run under another account.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let setting = format!("unix_socket_directories={}", folder.path().display());
    let server = PostgresServer::start_with(&PostgresPlan {
        arguments: &[&setting, "fsync=off"],
        files: &[("pg_hba.conf", "local all all trust\n")],
        ..PostgresPlan::default()
    })
    .await;
    let url = format!(
        "postgres://harkara@/harkara?host={}&port={}",
        folder.path().display(),
        server.port
    );
    let pool = pool_of_one(&url, Duration::from_secs(5), Duration::from_secs(5));
    let error = refused(&pool, [&captured("evt")], Recovery::Wait).await;
    assert!(
        error.full().contains("(SQLSTATE 42P01)"),
        "{}",
        error.full()
    );
}
