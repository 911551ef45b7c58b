//! `harkara probe`.

use super::Deployment;
use crate::harkara::Harkara;

#[tokio::test]
async fn a_probe_says_whether_a_process_is_ready_or_alive() {
    let mut deployment = Deployment::start(&[]).await;
    let harkara = deployment.harkara();
    let ready = harkara.stdout("probe").await;
    assert!(ready.starts_with("200 {"), "{ready}");
    assert!(ready.contains(r#""status":"ready""#), "{ready}");
    for arguments in [
        "probe worker",
        "probe worker --live",
        "probe ingress --live",
    ] {
        let answer = harkara.stdout(arguments).await;
        assert!(answer.starts_with("200 "), "{arguments}: {answer}");
    }
    let url = format!("http://{}/readyz", deployment.worker_admin);
    Harkara::default()
        .stdout(&format!("probe --url {url}"))
        .await;

    deployment.database.shut().await;
    let unready = harkara.run("probe worker").await.ended_with(1).stdout();
    assert!(unready.starts_with("503 {"), "{unready}");
    harkara.stdout("probe worker --live").await;
    deployment.children.clear();
    harkara
        .run("probe")
        .await
        .complains(1, &["/readyz", "does not answer"]);
}
