//! What the admin port tells.

use serde_json::Value;

use crate::http::get;
use crate::ingress::Ingress;

#[tokio::test]
async fn a_ready_ingress_names_its_dependency_and_asking_writes_nothing() {
    let ingress = Ingress::start().await;
    let ready = get(ingress.admin, "/readyz").await;
    assert_eq!(ready.status, 200);
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["dependencies"]["redis"]["state"], "up");
    assert_eq!(get(ingress.admin, "/livez").await.status, 200);
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn accepted_deliveries_and_their_bytes_are_counted() {
    let ingress = Ingress::start().await;
    for _ in 0..3 {
        assert_eq!(ingress.deliver("{\"event\":1}").await.status, 200);
    }
    let metrics = get(ingress.admin, "/metrics").await;
    assert_eq!(metrics.status, 200);
    for line in [
        r#"harkara_ingress_deliveries_total{outcome="accepted"} 3"#,
        r#"harkara_ingress_deliveries_total{outcome="unavailable"} 0"#,
        "harkara_ingress_accepted_bytes_total 33",
    ] {
        assert!(
            metrics.body.contains(line),
            "{line} not in\n{}",
            metrics.body
        );
    }
    ingress.stop().await;
}

#[tokio::test]
async fn the_admin_routes_are_not_on_the_public_port() {
    let ingress = Ingress::start().await;
    for path in ["/livez", "/readyz", "/metrics", "/backlog"] {
        assert_eq!(get(ingress.public, path).await.status, 404);
    }
    ingress.stop().await;
}
