//! Rules that hold for every table.

use harkara_testkit::TestDatabase;

#[tokio::test]
async fn every_table_but_the_audit_has_a_primary_key() {
    let db = TestDatabase::migrated().await;
    let without: Vec<String> = db
        .column(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
               AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')",
        )
        .await;
    // An audit row has no identity: several changes of one entity may fall into one instant.
    assert_eq!(without, ["audit_logs"]);
}

#[tokio::test]
async fn ids_are_compared_bytewise_as_the_workers_sort_them() {
    let db = TestDatabase::migrated().await;
    let others: Vec<String> = db
        .column(
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' \
               AND column_name IN ('razorpay_event_id', 'last_event_id', 'payment_id', 'order_id', 'refund_id', \
                 'dispute_id', 'entity_type', 'entity_id', 'refund_status') \
               AND table_name NOT IN ('harkara_schema', '__diesel_schema_migrations')",
        )
        .await;
    assert_eq!(others, Vec::<String>::new());
}

/// What others rely on: tables and views, and their columns by type.
const CONTRACT: &str = "
webhook_events | text | razorpay_event_id event_type account_id endpoint status signature error
webhook_events | boolean | processed
webhook_events | bytea | body body_sha256
webhook_events | timestamp with time zone | occurred_at created_at processed_at
webhook_events | integer | duplicates
webhook_event_payloads | text | razorpay_event_id event_type
webhook_event_payloads | jsonb | payload
payment_transactions | text | payment_id account_id order_id invoice_id status method currency refund_status last_event_id
payment_transactions | text | error_code error_description error_source error_step error_reason
payment_transactions | bigint | amount amount_refunded fee tax
payment_transactions | boolean | captured
payment_transactions | timestamp with time zone | razorpay_created_at updated_at
payment_orders | text | order_id account_id status currency receipt
payment_orders | bigint | amount amount_paid amount_due attempts
payment_refunds | text | refund_id payment_id status currency speed_requested speed_processed
payment_refunds | bigint | amount
payment_disputes | text | dispute_id payment_id status phase reason_code currency
payment_disputes | bigint | amount amount_deducted
payment_disputes | timestamp with time zone | respond_by
downtime_events | text | razorpay_event_id event_type downtime_id status
downtimes | text | razorpay_event_id event_type downtime_id status
invoice_events | text | razorpay_event_id event_type invoice_id status
invoices | text | razorpay_event_id event_type invoice_id status
fund_account_events | text | razorpay_event_id event_type validation_id status
fund_account_validations | text | razorpay_event_id event_type validation_id status
account_events | text | razorpay_event_id event_type account_id status
accounts | text | razorpay_event_id event_type account_id status
payment_link_events | text | razorpay_event_id event_type payment_link_id status
payment_links | text | razorpay_event_id event_type payment_link_id status
order_notifications | text | razorpay_event_id notification_id order_id token_id status
order_notifications | timestamp with time zone | delivered_at occurred_at
entity_snapshots | text | entity_type entity_id account_id status event_type last_event_id
entity_snapshots | timestamp with time zone | occurred_at
audit_logs | text | actor action entity_type entity_id razorpay_event_id from_status to_status
audit_logs | timestamp with time zone | at
audit_logs | jsonb | detail
";

#[tokio::test]
async fn the_columns_of_the_contract_exist_with_their_types() {
    let db = TestDatabase::migrated().await;
    for line in CONTRACT.trim().lines() {
        let parts: Vec<_> = line.split(" | ").collect();
        let [table, data_type, columns] = parts[..] else {
            panic!("{line}")
        };
        let others: Vec<String> = db
            .column(&format!(
                "SELECT name || ' is ' || coalesce(data_type, 'missing') FROM unnest(string_to_array('{columns}', ' ')) name \
                 LEFT JOIN information_schema.columns c ON c.table_name = '{table}' AND c.column_name = name \
                   AND c.table_schema = 'public' \
                 WHERE data_type IS DISTINCT FROM '{data_type}'"
            ))
            .await;
        assert_eq!(others, Vec::<String>::new(), "{table}");
    }
}
