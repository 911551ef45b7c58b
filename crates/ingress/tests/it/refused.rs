//! What is refused, without leaving a trace in Redis.

use harkara_core::secret::Secret;
use harkara_core::signature::sign;

use crate::http::{Request, get};
use crate::ingress::{Ingress, PATH, SECRET};

#[tokio::test]
async fn a_missing_malformed_short_or_wrong_signature_is_refused_alike() {
    let ingress = Ingress::start().await;
    let right = sign(&Secret::new(SECRET), b"{}");
    let signatures = [
        None,
        Some(String::new()),
        Some("no hex at all".to_owned()),
        Some(right[..63].to_owned()),
        Some(format!("{right}0")),
        Some(format!("{}g", &right[..63])),
        Some(sign(&Secret::new("another secret"), b"{}")),
        Some(sign(&Secret::new(SECRET), b"{ }")),
    ];
    for signature in &signatures {
        let mut request = Request::new("POST", PATH).body("{}");
        if let Some(signature) = signature {
            request = request.header("x-razorpay-signature", signature);
        }
        let response = request.send(ingress.public).await;
        assert_eq!(response.status, 401, "{signature:?}");
        assert_eq!(response.body, r#"{"error":"invalid_signature"}"#);
    }
    ingress.assert_nothing_stored().await;

    let metrics = get(ingress.admin, "/metrics").await.body;
    for line in [
        r#"harkara_ingress_deliveries_total{outcome="invalid_signature"} 8"#,
        r#"harkara_ingress_invalid_signatures_total{reason="missing"} 1"#,
        r#"harkara_ingress_invalid_signatures_total{reason="wrong_length"} 4"#,
        r#"harkara_ingress_invalid_signatures_total{reason="not_hex"} 1"#,
        r#"harkara_ingress_invalid_signatures_total{reason="no_match"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line} not in\n{metrics}");
    }
    ingress.stop().await;
}

#[tokio::test]
async fn an_upper_case_signature_is_the_same_signature() {
    let ingress = Ingress::start().await;
    let signature = sign(&Secret::new(SECRET), b"{}").to_uppercase();
    let request = Request::new("POST", PATH)
        .header("x-razorpay-signature", &signature)
        .body("{}");
    assert_eq!(request.send(ingress.public).await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn one_changed_byte_of_the_body_is_refused() {
    let ingress = Ingress::start().await;
    let signature = sign(&Secret::new(SECRET), br#"{"amount":100}"#);
    let request = Request::new("POST", PATH)
        .header("x-razorpay-signature", &signature)
        .body(r#"{"amount":900}"#);
    assert_eq!(request.send(ingress.public).await.status, 401);
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn an_unknown_endpoint_and_an_unknown_path_are_not_found() {
    let ingress = Ingress::start().await;
    for (path, body) in [
        (
            "/webhooks/razorpay/nobody",
            r#"{"error":"unknown_endpoint"}"#,
        ),
        (
            "/webhooks/razorpay/Default",
            r#"{"error":"unknown_endpoint"}"#,
        ),
        ("/webhooks/razorpay/a/b", r#"{"error":"not_found"}"#),
        ("/", r#"{"error":"not_found"}"#),
    ] {
        let response = Request::signed(path, SECRET, "{}")
            .send(ingress.public)
            .await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (404, body),
            "{path}"
        );
    }
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn other_methods_are_told_the_one_that_is_allowed() {
    let ingress = Ingress::start().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        for path in [
            PATH,
            "/webhooks/razorpay/default",
            "/webhooks/razorpay/nobody",
        ] {
            let response = Request::new(method, path).send(ingress.public).await;
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.headers["allow"], "POST");
            if method != "HEAD" {
                assert_eq!(response.body, r#"{"error":"method_not_allowed"}"#);
            }
        }
    }
    ingress.stop().await;
}
