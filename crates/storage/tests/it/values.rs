//! The typed columns of every table against the fields of the bodies.

use harkara_core::catalogue::EVENTS;
use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::verification::HISTORY_TABLES;
use serde_json::{Value, json};

use crate::records::NOW;
use crate::store::Store;

/// Where the entity under a payload key goes: its table, and the columns, each with the path of its field where
/// that has another name.
const PLACES: [(&str, &str, &str); 10] = [
    (
        "payment",
        "payment_transactions",
        "order_id invoice_id status method amount currency amount_refunded refund_status captured fee \
         tax international bank wallet card_id error_code error_description error_source error_step \
         error_reason payment_id=/id razorpay_created_at=/created_at",
    ),
    (
        "order",
        "payment_orders",
        "status amount amount_paid amount_due currency receipt offer_id attempts order_id=/id \
         razorpay_created_at=/created_at",
    ),
    (
        "refund",
        "payment_refunds",
        "payment_id status amount currency speed_requested speed_processed receipt batch_id \
         refund_id=/id razorpay_created_at=/created_at",
    ),
    (
        "dispute",
        "payment_disputes",
        "payment_id status phase reason_code amount amount_deducted currency respond_by \
         dispute_id=/id razorpay_created_at=/created_at",
    ),
    (
        "payment.downtime",
        "downtime_events",
        "status method severity scheduled downtime_id=/id begin_at=/begin end_at=/end \
         instrument_bank=/instrument/bank instrument_network=/instrument/network \
         instrument_issuer=/instrument/issuer instrument_card_type=/instrument/type \
         instrument_vpa_handle=/instrument/vpa_handle instrument_psp=/instrument/psp \
         instrument_flow=/instrument/flow",
    ),
    (
        "invoice",
        "invoice_events",
        "order_id payment_id customer_id status invoice_number receipt amount amount_paid amount_due \
         currency issued_at paid_at expire_by expired_at cancelled_at invoice_id=/id \
         invoice_type=/type",
    ),
    (
        "fund_account.validation",
        "fund_account_events",
        "status amount currency utr validation_id=/id fund_account_id=/fund_account/id \
         contact_id=/fund_account/contact_id account_type=/fund_account/account_type \
         account_status=/results/account_status name_match_score=/results/name_match_score",
    ),
    (
        "account",
        "account_events",
        "activated live hold_funds activated_at suspended_at \
         business_type=/merchant_detail/business_type",
    ),
    (
        "payment_link",
        "payment_link_events",
        "order_id status reference_id amount amount_paid currency accept_partial short_url expire_by \
         expired_at cancelled_at payment_link_id=/id",
    ),
    (
        "notification",
        "order_notifications",
        "order_id token_id status delivered_at payment_after notification_id=/id",
    ),
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
        assert_eq!(seconds(stored), expected.as_i64(), "{what} {column}");
    } else {
        let id_without_prefix = stored
            .as_str()
            .and_then(|id| id.split_once('_'))
            .map(|(_, bare)| json!(bare));
        let same = stored == expected || id_without_prefix.as_ref() == Some(expected);
        assert!(same, "{what} {column}: {stored} is stored for {expected}");
    }
}

/// A stored time in seconds since 1970.
fn seconds(stored: &Value) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(stored.as_str()?).unwrap();
    Some(time.timestamp())
}

fn id_of(key: &str, entity: &Value) -> String {
    let id = entity["id"].as_str().unwrap();
    match key {
        "account" if !id.starts_with("acc_") => format!("acc_{id}"),
        "order" if !id.starts_with("order_") => format!("order_{id}"),
        _ => id.to_owned(),
    }
}

async fn only_row(store: &Store, table: &str, condition: &str) -> Value {
    let row = format!("SELECT to_jsonb(t)::text FROM {table} t WHERE {condition}");
    serde_json::from_str(&store.value::<String>(&row).await).unwrap()
}

async fn snapshot(store: &Store, key: &str, id: &str) -> Value {
    let condition = format!("entity_type = '{key}' AND entity_id = '{id}'");
    only_row(store, "entity_snapshots", &condition).await
}

/// Checks every entity in an event's payload against its row.
async fn check_values(store: &Store, event: &SimulatedEvent) {
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    for (key, value) in body["payload"].as_object().into_iter().flatten() {
        let entity = &value["entity"];
        if !entity["id"].is_string() {
            continue;
        }
        match PLACES.iter().find(|place| place.0 == key) {
            Some((_, table, columns)) => {
                check_table(store, event, &body, (key, table, columns)).await;
            }
            None => check_snapshot(store, event, key, entity).await,
        }
    }
}

/// Checks columns against the fields of an entity.
fn check_columns(row: &Value, columns: &str, entity: &Value, what: &str) {
    for column in columns.split_whitespace() {
        let (column, path) = column.split_once('=').unwrap_or((column, ""));
        let field = if path.is_empty() {
            entity.get(column)
        } else {
            entity.pointer(path)
        };
        check_column(row, column, field.unwrap_or(&Value::Null), what);
    }
}

async fn check_snapshot(store: &Store, event: &SimulatedEvent, key: &str, entity: &Value) {
    let what = format!("{} {key}", event.name);
    let row = snapshot(store, key, entity["id"].as_str().unwrap()).await;
    let columns = "amount currency razorpay_created_at=/created_at";
    check_columns(&row, columns, entity, &what);
    if entity["status"].is_string() {
        check_column(&row, "status", &entity["status"], &what);
    }
    assert_eq!(row["event_type"], event.name);
    assert_eq!(row["last_event_id"], event.event_id);
}

async fn check_table(
    store: &Store,
    event: &SimulatedEvent,
    body: &Value,
    (key, table, columns): (&str, &str, &str),
) {
    let entity = &body["payload"][key]["entity"];
    let what = format!("{} {key}", event.name);
    let is_history = HISTORY_TABLES.contains(&table);
    let event_column = if is_history {
        "razorpay_event_id"
    } else {
        "last_event_id"
    };
    let condition = format!("{event_column} = '{}'", event.event_id);
    let row = only_row(store, table, &condition).await;
    check_columns(&row, columns, entity, &what);
    let account = match key {
        "account" => json!(id_of(key, entity)),
        _ => body["account_id"].clone(),
    };
    assert_eq!(row["account_id"], account, "{what}");
    if is_history {
        assert_eq!(row["event_type"], event.name, "{what}");
        let state = snapshot(store, key, &id_of(key, entity)).await;
        assert_eq!(state["status"], row["status"], "{what}");
    }
    if !body["payload"]["payment_link"].is_object() {
        let time = match &body["created_at"] {
            Value::Null => &body["payload"]["created_at"],
            time => time,
        };
        check_column(&row, "occurred_at", time, &what);
    }
}

#[tokio::test]
async fn every_entity_of_every_event_has_its_fields_in_its_columns() {
    let store = Store::migrated().await;
    // Several seeds of the typed events, since methods, instruments and refunds are drawn.
    let of_seed = |seed| {
        let specs = EVENTS
            .iter()
            .filter(move |spec| spec.is_typed == (seed < 6));
        let mut bodies = Bodies::new(seed, NOW);
        specs.map(move |spec| bodies.event(spec.name))
    };
    let events: Vec<_> = (0..7).flat_map(of_seed).collect();
    assert_eq!(store.deliver(&events).await.processed, events.len());
    for event in &events {
        check_values(&store, event).await;
    }
}

#[tokio::test]
async fn a_payment_link_event_has_the_id_of_its_payment_and_its_own_time() {
    let store = Store::migrated().await;
    let event = Bodies::new(3, NOW).event("payment_link.paid");
    store.deliver([&event]).await;
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    let payment = &body["payload"]["payment"]["entity"];
    let row = only_row(&store, "payment_link_events", "true").await;
    assert_eq!(row["payment_id"], payment["id"]);
    let occurred_at = seconds(&row["occurred_at"]);
    assert!(occurred_at.is_some() && occurred_at >= payment["created_at"].as_i64());
}

#[tokio::test]
async fn the_status_of_an_account_is_its_activation_status() {
    let store = Store::migrated().await;
    let event = Bodies::new(4, NOW).event("account.activated_kyc_pending");
    store.deliver([&event]).await;
    let row = only_row(&store, "account_events", "true").await;
    assert_eq!(row["status"], json!("activated_kyc_pending"));
}
