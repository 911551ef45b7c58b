//! The admin port.

use serde_json::Value;

use crate::http::get;
use crate::ingress::Ingress;

#[tokio::test]
async fn a_ready_ingress_names_its_dependency_and_asking_writes_nothing() {
    let ingress = Ingress::start().await;
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 200);
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["dependencies"]["redis"]["state"], "up");
    assert_eq!(ingress.admin("/livez").await.status, 200);
    assert_eq!(ingress.admin("/metrics").await.status, 200);
    ingress.assert_nothing_stored().await;
    for path in ["/livez", "/readyz", "/metrics", "/backlog"] {
        let public = get(ingress.public, path).await;
        assert_eq!(public.status, 404, "{path} on the public port");
    }
}
