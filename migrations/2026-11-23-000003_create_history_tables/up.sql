-- One row for each event, never merged; a view beside each gives the latest state of every entity by
-- the same precedence as the merged tables.

CREATE TABLE downtime_events (
    razorpay_event_id     text COLLATE "C" PRIMARY KEY,
    event_type            text COLLATE "C" NOT NULL,
    account_id            text COLLATE "C",
    downtime_id           text COLLATE "C" NOT NULL,
    status                text COLLATE "C" NOT NULL,
    method                text,
    severity              text,
    scheduled             boolean,
    begin_at              timestamptz,
    end_at                timestamptz,
    instrument_bank       text,
    instrument_network    text,
    instrument_issuer     text,
    instrument_card_type  text,
    instrument_vpa_handle text,
    instrument_psp        text,
    instrument_flow       text,
    occurred_at           timestamptz,
    precedence            bigint NOT NULL
);
CREATE INDEX downtime_events_latest ON downtime_events (downtime_id, precedence DESC, razorpay_event_id DESC);
CREATE VIEW downtimes AS
    SELECT DISTINCT ON (downtime_id) * FROM downtime_events
    ORDER BY downtime_id, precedence DESC, razorpay_event_id DESC;

CREATE TABLE invoice_events (
    razorpay_event_id text COLLATE "C" PRIMARY KEY,
    event_type        text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C",
    invoice_id        text COLLATE "C" NOT NULL,
    order_id          text COLLATE "C",
    payment_id        text COLLATE "C",
    customer_id       text,
    status            text COLLATE "C" NOT NULL,
    invoice_type      text,
    invoice_number    text,
    receipt           text,
    amount            bigint,
    amount_paid       bigint,
    amount_due        bigint,
    currency          text,
    issued_at         timestamptz,
    paid_at           timestamptz,
    expire_by         timestamptz,
    expired_at        timestamptz,
    cancelled_at      timestamptz,
    occurred_at       timestamptz,
    precedence        bigint NOT NULL
);
CREATE INDEX invoice_events_latest ON invoice_events (invoice_id, precedence DESC, razorpay_event_id DESC);
CREATE VIEW invoices AS
    SELECT DISTINCT ON (invoice_id) * FROM invoice_events
    ORDER BY invoice_id, precedence DESC, razorpay_event_id DESC;

CREATE TABLE fund_account_events (
    razorpay_event_id text COLLATE "C" PRIMARY KEY,
    event_type        text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C",
    validation_id     text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    fund_account_id   text COLLATE "C",
    contact_id        text COLLATE "C",
    account_type      text,
    amount            bigint,
    currency          text,
    account_status    text,
    name_match_score  bigint,
    utr               text,
    occurred_at       timestamptz,
    precedence        bigint NOT NULL
);
CREATE INDEX fund_account_events_latest ON fund_account_events (validation_id, precedence DESC, razorpay_event_id DESC);
COMMENT ON COLUMN fund_account_events.account_status IS 'active or invalid: a completed validation may well say that the account is invalid.';
CREATE VIEW fund_account_validations AS
    SELECT DISTINCT ON (validation_id) * FROM fund_account_events
    ORDER BY validation_id, precedence DESC, razorpay_event_id DESC;

CREATE TABLE account_events (
    razorpay_event_id text COLLATE "C" PRIMARY KEY,
    event_type        text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    status            text COLLATE "C",
    activated         boolean,
    live              boolean,
    hold_funds        boolean,
    activated_at      timestamptz,
    suspended_at      timestamptz,
    business_type     text,
    occurred_at       timestamptz,
    precedence        bigint NOT NULL
);
CREATE INDEX account_events_latest ON account_events (account_id, precedence DESC, razorpay_event_id DESC);
CREATE VIEW accounts AS
    SELECT DISTINCT ON (account_id) * FROM account_events
    ORDER BY account_id, precedence DESC, razorpay_event_id DESC;

CREATE TABLE payment_link_events (
    razorpay_event_id text COLLATE "C" PRIMARY KEY,
    event_type        text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C",
    payment_link_id   text COLLATE "C" NOT NULL,
    order_id          text COLLATE "C",
    payment_id        text COLLATE "C",
    status            text COLLATE "C" NOT NULL,
    reference_id      text,
    amount            bigint,
    amount_paid       bigint,
    currency          text,
    accept_partial    boolean,
    short_url         text,
    expire_by         timestamptz,
    expired_at        timestamptz,
    cancelled_at      timestamptz,
    occurred_at       timestamptz,
    precedence        bigint NOT NULL
);
CREATE INDEX payment_link_events_latest ON payment_link_events (payment_link_id, precedence DESC, razorpay_event_id DESC);
CREATE VIEW payment_links AS
    SELECT DISTINCT ON (payment_link_id) * FROM payment_link_events
    ORDER BY payment_link_id, precedence DESC, razorpay_event_id DESC;

CREATE TABLE order_notifications (
    razorpay_event_id text COLLATE "C" PRIMARY KEY,
    event_type        text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C",
    notification_id   text COLLATE "C" NOT NULL,
    order_id          text COLLATE "C",
    token_id          text COLLATE "C",
    status            text COLLATE "C" NOT NULL,
    delivered_at      timestamptz,
    payment_after     timestamptz,
    occurred_at       timestamptz,
    precedence        bigint NOT NULL
);
CREATE INDEX order_notifications_order ON order_notifications (order_id);
