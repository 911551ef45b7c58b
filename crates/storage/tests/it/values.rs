//! The typed columns of every table against the fields of the bodies.

use harkara_core::catalogue::{self, EVENTS};
use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::records::{NOW, all_claimed, commit, deliver};

/// Where the entity under a payload key goes: its table, key column and the fields of its columns.
/// Columns whose name is their field's stand alone; others give the field's path.
struct Place {
    key: &'static str,
    table: &'static str,
    /// A history is found by its event.
    history: bool,
    columns: &'static [&'static str],
    renamed: &'static [(&'static str, &'static str)],
}

const PLACES: &[Place] = &[
    Place {
        key: "payment",
        table: "payment_transactions",
        history: false,
        columns: &[
            "order_id",
            "invoice_id",
            "status",
            "method",
            "amount",
            "currency",
            "amount_refunded",
            "refund_status",
            "captured",
            "fee",
            "tax",
            "international",
            "bank",
            "wallet",
            "card_id",
            "error_code",
            "error_description",
            "error_source",
            "error_step",
            "error_reason",
        ],
        renamed: &[
            ("payment_id", "/id"),
            ("razorpay_created_at", "/created_at"),
        ],
    },
    Place {
        key: "order",
        table: "payment_orders",
        history: false,
        columns: &[
            "status",
            "amount",
            "amount_paid",
            "amount_due",
            "currency",
            "receipt",
            "offer_id",
            "attempts",
        ],
        renamed: &[("order_id", "/id"), ("razorpay_created_at", "/created_at")],
    },
    Place {
        key: "refund",
        table: "payment_refunds",
        history: false,
        columns: &[
            "payment_id",
            "status",
            "amount",
            "currency",
            "speed_requested",
            "speed_processed",
            "receipt",
            "batch_id",
        ],
        renamed: &[("refund_id", "/id"), ("razorpay_created_at", "/created_at")],
    },
    Place {
        key: "dispute",
        table: "payment_disputes",
        history: false,
        columns: &[
            "payment_id",
            "status",
            "phase",
            "reason_code",
            "amount",
            "amount_deducted",
            "currency",
            "respond_by",
        ],
        renamed: &[
            ("dispute_id", "/id"),
            ("razorpay_created_at", "/created_at"),
        ],
    },
    Place {
        key: "payment.downtime",
        table: "downtime_events",
        history: true,
        columns: &["status", "method", "severity", "scheduled"],
        renamed: &[
            ("downtime_id", "/id"),
            ("begin_at", "/begin"),
            ("end_at", "/end"),
            ("instrument_bank", "/instrument/bank"),
            ("instrument_network", "/instrument/network"),
            ("instrument_issuer", "/instrument/issuer"),
            ("instrument_card_type", "/instrument/type"),
            ("instrument_vpa_handle", "/instrument/vpa_handle"),
            ("instrument_psp", "/instrument/psp"),
            ("instrument_flow", "/instrument/flow"),
        ],
    },
    Place {
        key: "invoice",
        table: "invoice_events",
        history: true,
        columns: &[
            "order_id",
            "payment_id",
            "customer_id",
            "status",
            "invoice_number",
            "receipt",
            "amount",
            "amount_paid",
            "amount_due",
            "currency",
            "issued_at",
            "paid_at",
            "expire_by",
            "expired_at",
            "cancelled_at",
        ],
        renamed: &[("invoice_id", "/id"), ("invoice_type", "/type")],
    },
    Place {
        key: "fund_account.validation",
        table: "fund_account_events",
        history: true,
        columns: &["status", "amount", "currency", "utr"],
        renamed: &[
            ("validation_id", "/id"),
            ("fund_account_id", "/fund_account/id"),
            ("contact_id", "/fund_account/contact_id"),
            ("account_type", "/fund_account/account_type"),
            ("account_status", "/results/account_status"),
            ("name_match_score", "/results/name_match_score"),
        ],
    },
    Place {
        key: "account",
        table: "account_events",
        history: true,
        columns: &[
            "activated",
            "live",
            "hold_funds",
            "activated_at",
            "suspended_at",
        ],
        renamed: &[("business_type", "/merchant_detail/business_type")],
    },
    Place {
        key: "payment_link",
        table: "payment_link_events",
        history: true,
        columns: &[
            "order_id",
            "status",
            "reference_id",
            "amount",
            "amount_paid",
            "currency",
            "accept_partial",
            "short_url",
            "expire_by",
            "expired_at",
            "cancelled_at",
        ],
        renamed: &[("payment_link_id", "/id")],
    },
    Place {
        key: "notification",
        table: "order_notifications",
        history: true,
        columns: &[
            "order_id",
            "token_id",
            "status",
            "delivered_at",
            "payment_after",
        ],
        renamed: &[("notification_id", "/id")],
    },
];

/// Checks a column against the field of the body; times are stored as such, and 0 or "" as null.
fn check_column(row: &Value, column: &str, field: &Value, what: &str) {
    let stored = &row[column];
    let is_time = column.ends_with("_at") || column.ends_with("_by") || column == "payment_after";
    let expected = match field {
        Value::String(text) if text.is_empty() => &Value::Null,
        Value::Number(number) if is_time && number.as_i64() == Some(0) => &Value::Null,
        other => other,
    };
    if is_time && !expected.is_null() {
        let stored = stored.as_str().map(|text| {
            chrono::DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp()
        });
        assert_eq!(stored, expected.as_i64(), "{what} {column}");
    } else {
        let id_without_prefix = stored
            .as_str()
            .and_then(|id| id.split_once('_'))
            .map(|(_, bare)| json!(bare));
        let same = stored == expected || id_without_prefix.as_ref() == Some(expected);
        assert!(same, "{what} {column}: {stored} is stored for {expected}");
    }
}

fn id_of(key: &str, entity: &Value) -> String {
    let id = entity["id"].as_str().unwrap();
    match key {
        "account" if !id.starts_with("acc_") => format!("acc_{id}"),
        "order" if !id.starts_with("order_") => format!("order_{id}"),
        _ => id.to_owned(),
    }
}

async fn only_row(db: &TestDatabase, table: &str, condition: &str) -> Value {
    let rows = db
        .rows(&format!("SELECT * FROM {table} WHERE {condition}"))
        .await;
    assert_eq!(rows.len(), 1, "{table} WHERE {condition}");
    serde_json::from_str(&rows[0]).unwrap()
}

/// Checks every entity in an event's payload against its row.
async fn check_values(db: &TestDatabase, event: &SimulatedEvent) {
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    for (key, value) in body["payload"].as_object().into_iter().flatten() {
        let entity = &value["entity"];
        let Some(id) = entity["id"].as_str() else {
            continue;
        };
        let what = format!("{} {key}", event.name);
        let Some(place) = PLACES.iter().find(|place| place.key == key) else {
            let row = only_row(
                db,
                "entity_snapshots",
                &format!("entity_type = '{key}' AND entity_id = '{id}'"),
            )
            .await;
            for column in ["amount", "currency"] {
                check_column(&row, column, &entity[column], &what);
            }
            check_column(&row, "razorpay_created_at", &entity["created_at"], &what);
            if let Some(status) = entity["status"].as_str() {
                check_column(&row, "status", &json!(status), &what);
            }
            assert_eq!(
                (&row["event_type"], &row["last_event_id"]),
                (&json!(event.name), &json!(event.event_id))
            );
            continue;
        };
        let event_column = if place.history {
            "razorpay_event_id"
        } else {
            "last_event_id"
        };
        let row = only_row(
            db,
            place.table,
            &format!("{event_column} = '{}'", event.event_id),
        )
        .await;
        for column in place.columns {
            check_column(&row, column, &entity[*column], &what);
        }
        for (column, path) in place.renamed {
            check_column(
                &row,
                column,
                entity.pointer(path).unwrap_or(&Value::Null),
                &what,
            );
        }
        let account = if key == "account" {
            json!(id_of(key, entity))
        } else {
            body["account_id"].clone()
        };
        assert_eq!(row["account_id"], account, "{what}");
        if place.history {
            assert_eq!(row["event_type"], json!(event.name), "{what}");
            let id = id_of(key, entity);
            let state = only_row(
                db,
                "entity_snapshots",
                &format!("entity_type = '{key}' AND entity_id = '{id}'"),
            )
            .await;
            assert_eq!(state["status"], row["status"], "{what}");
        }
        if key != "payment_link"
            && !body
                .pointer("/payload/payment_link")
                .is_some_and(Value::is_object)
        {
            let time = if body["created_at"].is_null() {
                &body["payload"]["created_at"]
            } else {
                &body["created_at"]
            };
            check_column(&row, "occurred_at", time, &what);
        }
    }
}

#[tokio::test]
async fn every_entity_of_every_typed_event_has_its_fields_in_its_columns() {
    let db = TestDatabase::migrated().await;
    let mut events = Vec::new();
    // Several seeds, since methods, instruments and refunds are drawn.
    for seed in 0..6 {
        let mut bodies = Bodies::new(seed, NOW);
        events.extend(catalogue::typed().map(|known| bodies.event(known.name)));
    }
    commit(&db.pool(), all_claimed(&events))
        .await
        .map(drop)
        .unwrap();
    for event in &events {
        check_values(&db, event).await;
    }
}

#[tokio::test]
async fn every_entity_of_every_other_event_has_its_snapshot() {
    let (db, mut bodies) = (TestDatabase::migrated().await, Bodies::new(7, NOW));
    let events: Vec<_> = EVENTS
        .iter()
        .filter(|known| !known.is_typed)
        .map(|known| bodies.event(known.name))
        .collect();
    commit(&db.pool(), all_claimed(&events))
        .await
        .map(drop)
        .unwrap();
    for event in &events {
        check_values(&db, event).await;
    }
}

#[tokio::test]
async fn a_payment_link_event_names_the_payment_that_it_contains_and_its_own_time() {
    let (db, mut bodies) = (TestDatabase::migrated().await, Bodies::new(3, NOW));
    let event = bodies.event("payment_link.paid");
    commit(&db.pool(), all_claimed([&event]))
        .await
        .map(drop)
        .unwrap();
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    let row = only_row(&db, "payment_link_events", "true").await;
    assert_eq!(
        row["payment_id"],
        body["payload"]["payment"]["entity"]["id"]
    );
    let occurred = chrono::DateTime::parse_from_rfc3339(row["occurred_at"].as_str().unwrap())
        .unwrap()
        .timestamp();
    assert!(
        occurred
            >= body["payload"]["payment"]["entity"]["created_at"]
                .as_i64()
                .unwrap()
    );
}

#[tokio::test]
async fn an_accounts_status_is_its_activation_status() {
    let db = TestDatabase::migrated().await;
    let event = Bodies::new(4, NOW).event("account.activated_kyc_pending");
    deliver(&db.pool(), &[&event]).await;
    let row = only_row(&db, "account_events", "true").await;
    assert_eq!(row["status"], json!("activated_kyc_pending"));
}
