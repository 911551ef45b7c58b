//! The logins of both stores are rotated while everything runs.

use harkara_testkit::{Folder, RedisServer, TestDatabase, wait_until};

use super::{BOUND, Deployment, INGRESS, WORKER};
use crate::harkara::{POSTGRES_URL, REDIS_URL};

#[tokio::test]
async fn rotated_logins_take_effect_without_a_restart() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let database = TestDatabase::migrated().await;
    let name: String = database.value("SELECT current_database()::text").await;
    let (old, new) = (format!("old_{name}"), format!("new_{name}"));
    let folder = Folder::new();
    let [redis_file, postgres_file] =
        ["redis-url", "postgres-url"].map(|file| folder.path().join(file));
    let write = |user: &str| {
        let redis_url = redis
            .url()
            .replace("redis://", &format!("redis://{user}:{user}@"));
        std::fs::write(&redis_file, redis_url).unwrap();
        let postgres_url = database.url.replace("//harkara@", &format!("//{user}@"));
        std::fs::write(&postgres_file, postgres_url).unwrap();
    };
    let mut connection = redis.connection().await;
    let create = async |user: &str, connection: &mut _| {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER")
            .arg(user)
            .arg("on")
            .arg(format!(">{user}"));
        let () = acl
            .arg("~*")
            .arg("+@all")
            .query_async(connection)
            .await
            .unwrap();
        let create = format!("CREATE ROLE {user} LOGIN SUPERUSER");
        database.execute(&create).await;
    };
    create(&old, &mut connection).await;
    write(&old);

    let here = TestDatabase::at(database.url.clone()).await;
    let mut deployment = Deployment::on(redis.url(), here, &[]);
    deployment.harkara = deployment
        .harkara
        .without(REDIS_URL)
        .without(POSTGRES_URL)
        .with(&format!("{REDIS_URL}_FILE"), redis_file.to_str().unwrap())
        .with(
            &format!("{POSTGRES_URL}_FILE"),
            postgres_file.to_str().unwrap(),
        );
    deployment.up(INGRESS).await;
    deployment.up(WORKER).await;
    deployment
        .harkara
        .stdout("trigger order.paid --follow")
        .await;

    create(&new, &mut connection).await;
    write(&new);
    // Redis closes the connections of a user that it deletes.
    let mut acl = redis::cmd("ACL");
    acl.arg("DELUSER").arg(&old);
    let deleted: u64 = acl.query_async(&mut connection).await.unwrap();
    assert_eq!(deleted, 1);
    let shut = format!(
        "ALTER ROLE {old} NOLOGIN; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{old}'"
    );
    database.execute(&shut).await;

    deployment
        .harkara
        .stdout("trigger payment.failed --retries 20")
        .await;
    wait_until("both are processed", BOUND, async || {
        let processed = "SELECT count(*) FROM webhook_events WHERE status = 'processed'";
        database.value::<i64>(processed).await == 2
    })
    .await;
    let users = "SELECT DISTINCT usename::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name LIKE 'harkara-%'";
    wait_until("the new role alone is connected", BOUND, async || {
        database.column::<String>(users).await == [new.clone()]
    })
    .await;
    let report = deployment.harkara.stdout("doctor").await;
    assert!(
        report.contains(" 0 problems") || report.contains("\n0 problems"),
        "{report}"
    );
}
