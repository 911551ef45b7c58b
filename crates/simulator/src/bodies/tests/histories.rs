//! Accounts, validations and downtimes: what is kept as one row for each event.

use serde_json::Value;

use super::{NOW, parsed, payloads};
use crate::Bodies;

#[test]
fn an_accounts_entity_has_no_prefix_and_its_envelope_has() {
    for name in [
        "account.instantly_activated",
        "account.activated_kyc_pending",
    ] {
        let body = parsed(&Bodies::new(1, NOW).body(name));
        let account = &body["payload"]["account"]["entity"];
        assert_eq!(
            body["account_id"],
            format!("acc_{}", account["id"].as_str().unwrap())
        );
        assert_eq!(account["entity"], "merchant");
        assert_eq!(
            account["merchant_detail"]["activation_status"],
            name.trim_start_matches("account.")
        );
    }
}

#[test]
fn a_failed_validation_has_no_results() {
    for payload in payloads("fund_account.validation.failed") {
        let validation = &payload["fund_account.validation"]["entity"];
        assert_eq!(validation["status"], "failed");
        assert!(validation["utr"].is_null());
        assert_eq!(validation["results"]["account_status"], "");
        assert_eq!(validation["results"]["details"], "null");
    }
    let completed = payloads("fund_account.validation.completed");
    for status in ["active", "invalid"] {
        let results = |p: &Value| {
            p["fund_account.validation"]["entity"]["results"]["account_status"] == status
        };
        assert!(completed.iter().any(results), "{status}");
    }
}

#[test]
fn a_downtime_ends_when_it_is_resolved_and_names_its_instrument() {
    for (name, ended) in [("started", false), ("updated", false), ("resolved", true)] {
        for payload in payloads(&format!("payment.downtime.{name}")) {
            let downtime = &payload["payment.downtime"]["entity"];
            assert_eq!(downtime["status"], name);
            assert_eq!(downtime["end"].is_i64(), ended);
            for key in downtime["instrument_schema"].as_array().unwrap() {
                assert!(downtime["instrument"][key.as_str().unwrap()].is_string());
            }
        }
    }
}
