-- One row for each entity, merged from every snapshot of it. `precedence` and `last_event_id` decide
-- which snapshot prevails (docs/architecture.md, "The law"); `status_before` is the status that the
-- last change found.

CREATE TABLE payment_transactions (
    payment_id          text COLLATE "C" PRIMARY KEY,
    account_id          text COLLATE "C",
    order_id            text COLLATE "C",
    invoice_id          text COLLATE "C",
    status              text COLLATE "C" NOT NULL,
    status_before       text COLLATE "C",
    method              text,
    amount              bigint,
    currency            text,
    amount_refunded     bigint,
    refund_status       text COLLATE "C",
    captured            boolean,
    fee                 bigint,
    tax                 bigint,
    international       boolean,
    bank                text,
    wallet              text,
    card_id             text,
    error_code          text,
    error_description   text,
    error_source        text,
    error_step          text,
    error_reason        text,
    razorpay_created_at timestamptz,
    occurred_at         timestamptz,
    precedence          bigint NOT NULL,
    last_event_id       text COLLATE "C" NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX payment_transactions_order ON payment_transactions (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX payment_transactions_created ON payment_transactions (razorpay_created_at);
COMMENT ON COLUMN payment_transactions.amount IS 'In the currency''s smallest unit (paise for INR), as are all amounts.';
COMMENT ON COLUMN payment_transactions.occurred_at IS 'When the prevailing event happened by Razorpay''s clock.';

CREATE TABLE payment_orders (
    order_id            text COLLATE "C" PRIMARY KEY,
    account_id          text COLLATE "C",
    status              text COLLATE "C" NOT NULL,
    status_before       text COLLATE "C",
    amount              bigint,
    amount_paid         bigint,
    amount_due          bigint,
    currency            text,
    receipt             text,
    offer_id            text,
    attempts            bigint,
    razorpay_created_at timestamptz,
    occurred_at         timestamptz,
    precedence          bigint NOT NULL,
    last_event_id       text COLLATE "C" NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX payment_orders_receipt ON payment_orders (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX payment_orders_created ON payment_orders (razorpay_created_at);

CREATE TABLE payment_refunds (
    refund_id           text COLLATE "C" PRIMARY KEY,
    account_id          text COLLATE "C",
    payment_id          text COLLATE "C",
    status              text COLLATE "C" NOT NULL,
    status_before       text COLLATE "C",
    amount              bigint,
    currency            text,
    speed_requested     text,
    speed_processed     text,
    receipt             text,
    batch_id            text,
    razorpay_created_at timestamptz,
    occurred_at         timestamptz,
    precedence          bigint NOT NULL,
    last_event_id       text COLLATE "C" NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX payment_refunds_payment ON payment_refunds (payment_id);

CREATE TABLE payment_disputes (
    dispute_id          text COLLATE "C" PRIMARY KEY,
    account_id          text COLLATE "C",
    payment_id          text COLLATE "C",
    status              text COLLATE "C" NOT NULL,
    status_before       text COLLATE "C",
    phase               text,
    reason_code         text,
    amount              bigint,
    amount_deducted     bigint,
    currency            text,
    respond_by          timestamptz,
    razorpay_created_at timestamptz,
    occurred_at         timestamptz,
    precedence          bigint NOT NULL,
    last_event_id       text COLLATE "C" NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX payment_disputes_payment ON payment_disputes (payment_id);
CREATE INDEX payment_disputes_respond_by ON payment_disputes (respond_by) WHERE status IN ('open', 'under_review');

CREATE TABLE entity_snapshots (
    entity_type         text COLLATE "C" NOT NULL,
    entity_id           text COLLATE "C" NOT NULL,
    account_id          text COLLATE "C",
    status              text COLLATE "C",
    status_before       text COLLATE "C",
    event_type          text COLLATE "C" NOT NULL,
    amount              bigint,
    currency            text,
    razorpay_created_at timestamptz,
    occurred_at         timestamptz,
    precedence          bigint NOT NULL,
    last_event_id       text COLLATE "C" NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, entity_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE entity_snapshots IS 'The present state of every entity without a merged table of its own: families without typed handling, and those whose table is a history.';
