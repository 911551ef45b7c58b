//! The logins of both stores are rotated while everything runs.

use harkara_testkit::{Folder, PostgresServer, RedisServer, TestDatabase, wait_until};

use super::{BOUND, Deployment, INGRESS, WORKER};
use crate::harkara::{POSTGRES_URL, REDIS_URL};

/// Asks for passwords, except of the superuser.
const PASSWORDS: &str = "host all postgres all trust\nhost all all all scram-sha-256\n";

#[tokio::test]
async fn rotated_logins_take_effect_without_a_restart() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let server = PostgresServer::start(&["fsync=off"]).await;
    let database = TestDatabase::at(server.superuser_url()).await;
    let folder = Folder::new();
    let [redis_file, postgres_file] =
        ["redis-url", "postgres-url"].map(|file| folder.path().join(file));
    let mut connection = redis.connection().await;
    // Both servers have the new password alone; then the files do.
    let mut rotate = async |password: &str| {
        let mut user = redis::cmd("ACL");
        let new = format!(">{password}");
        user.arg(&["SETUSER", "keeper", "on", "resetpass", &new, "~*", "+@all"]);
        let () = user.query_async(&mut connection).await.unwrap();
        let set = format!("ALTER ROLE harkara PASSWORD '{password}'");
        database.execute(&set).await;
        let login = format!("redis://keeper:{password}@");
        std::fs::write(&redis_file, redis.url().replace("redis://", &login)).unwrap();
        let login = format!("//harkara:{password}@");
        std::fs::write(&postgres_file, server.url().replace("//harkara@", &login)).unwrap();
    };
    rotate("old").await;
    server.write_file("pg_hba.conf", PASSWORDS);
    server.reload();

    let inspected = TestDatabase::at(server.superuser_url()).await;
    let mut deployment = Deployment::on(redis.url(), inspected, &[]);
    let file = |variable: &str| format!("{variable}_FILE");
    deployment.harkara = deployment
        .harkara
        .without(REDIS_URL)
        .without(POSTGRES_URL)
        .with(&file(REDIS_URL), redis_file.to_str().unwrap())
        .with(&file(POSTGRES_URL), postgres_file.to_str().unwrap());
    deployment.harkara.stdout("migrate").await;
    deployment.up(INGRESS).await;
    deployment.up(WORKER).await;
    let harkara = deployment.harkara();
    harkara.stdout("trigger order.paid --follow").await;

    rotate("new").await;
    let mut kill = redis::cmd("CLIENT");
    kill.arg(&["KILL", "USER", "keeper"]);
    let n_killed: u64 = kill
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    assert!(n_killed > 0);
    let ended =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'harkara'";
    assert!(database.value::<i64>(ended).await > 0);

    // Both stores are cut at once: an answer may come too late.
    wait_until("a delivery is accepted", BOUND, async || {
        let sent = harkara.run("trigger payment.failed").await;
        sent.code == 0
    })
    .await;
    wait_until("both are processed", BOUND, async || {
        let processed = "SELECT count(*) FROM webhook_events WHERE status = 'processed'";
        database.value::<i64>(processed).await >= 2
    })
    .await;
    wait_until("the worker reads from Redis again", BOUND, async || {
        let doctor = harkara.run("doctor").await;
        doctor.stdout().contains("\n0 problems")
    })
    .await;
}
