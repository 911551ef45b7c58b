//! Requests that are refused and leave nothing in Redis.

use harkara_core::secret::Secret;
use harkara_core::signature::sign;

use crate::http::Request;
use crate::ingress::{Ingress, PATH, SECRET};

const NOBODY: &str = "/webhooks/razorpay/nobody";

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
        // Of a body with one more byte, or another one.
        Some(sign(&Secret::new(SECRET), b"{ }")),
        Some(sign(&Secret::new(SECRET), b"{]")),
    ];
    for signature in &signatures {
        let mut request = Request::post().body("{}");
        if let Some(signature) = signature {
            request = request.signature(signature);
        }
        let response = request.send(ingress.public).await;
        response.assert(401, r#"{"error":"invalid_signature"}"#);
    }
    ingress.assert_nothing_stored().await;
    let metrics = [
        r#"harkara_ingress_deliveries_total{outcome="invalid_signature"} 9"#,
        r#"harkara_ingress_invalid_signatures_total{reason="missing"} 1"#,
        r#"harkara_ingress_invalid_signatures_total{reason="wrong_length"} 4"#,
        r#"harkara_ingress_invalid_signatures_total{reason="not_hex"} 1"#,
        r#"harkara_ingress_invalid_signatures_total{reason="no_match"} 3"#,
    ];
    ingress.assert_metrics(&metrics).await;

    // In upper case it is the same signature.
    let request = Request::post().signature(&right.to_uppercase()).body("{}");
    assert_eq!(request.send(ingress.public).await.status, 200);
}

#[tokio::test]
async fn unknown_endpoints_and_paths_are_not_found_and_other_methods_not_allowed() {
    let ingress = Ingress::start().await;
    for (path, error) in [
        (NOBODY, "unknown_endpoint"),
        ("/webhooks/razorpay/Default", "unknown_endpoint"),
        ("/webhooks/razorpay/a/b", "not_found"),
        ("/", "not_found"),
    ] {
        let response = Request::signed(path, SECRET, "{}").send(ingress.public);
        let body = format!(r#"{{"error":"{error}"}}"#);
        response.await.assert(404, &body);
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        for path in [PATH, "/webhooks/razorpay/default", NOBODY] {
            let response = Request::new(method, path).send(ingress.public).await;
            let body = match method {
                "HEAD" => "",
                _ => r#"{"error":"method_not_allowed"}"#,
            };
            response.assert(405, body);
            assert_eq!(response.headers["allow"], "POST");
        }
    }
    ingress.assert_nothing_stored().await;
}
