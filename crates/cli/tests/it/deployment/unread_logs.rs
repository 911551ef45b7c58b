//! Logs whose reader stands still.

use harkara_testkit::{Signal, TestDatabase, full_pipe, redis_database, send_signal};
use tokio::time::timeout;

use super::{BOUND, Deployment, INGRESS, WORKER};

#[tokio::test]
async fn deliveries_go_on_and_sigterm_ends_both_while_nobody_reads_their_logs() {
    let (redis_url, database) = (redis_database().await, TestDatabase::migrated().await);
    let detailed = [("RUST_LOG", "debug")];
    let mut deployment = Deployment::on(redis_url, database, &detailed);
    let mut readers = Vec::new();
    for binary in [INGRESS, WORKER] {
        let (reader, writer) = full_pipe();
        readers.push(reader);
        let child = deployment.spawn_with_log(binary, writer);
        deployment.until_ready(binary, child).await;
    }
    let harkara = deployment.harkara();
    harkara
        .stdout("trigger payment.captured --count 100 --follow")
        .await;
    harkara
        .stdout("trigger payment.captured --count 100 --bad-signature")
        .await;
    harkara.stdout("trigger all --follow").await;
    for child in &mut deployment.children {
        send_signal(child, Signal::TERM);
        let ended = timeout(BOUND, child.wait()).await;
        assert_eq!(ended.expect("it ends in time").unwrap().code(), Some(0));
    }
}
