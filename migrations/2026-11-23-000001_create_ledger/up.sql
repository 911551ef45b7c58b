-- The ledger: every distinct event once, its identity, and what was done about it.

-- Identity outlives the ledger's partitions. It alone decides whether an event is new: by the id that
-- Razorpay gave it and, since that header is not signed, by the digest of the signed body.
CREATE TABLE event_identities (
    razorpay_event_id text COLLATE "C" NOT NULL PRIMARY KEY,
    body_sha256       bytea NOT NULL UNIQUE,
    created_at        timestamptz NOT NULL
);
-- For removing identities past their term; entries come in order of time, so a block range index does.
CREATE INDEX event_identities_created_at ON event_identities USING brin (created_at);
COMMENT ON TABLE event_identities IS 'One row for each distinct event, kept at least 30 days longer than its webhook_events row.';
COMMENT ON COLUMN event_identities.created_at IS 'created_at of the webhook_events row, which names its partition.';

CREATE TABLE webhook_events (
    razorpay_event_id   text COLLATE "C" NOT NULL,
    event_type          text COLLATE "C" NOT NULL,
    account_id          text COLLATE "C",
    endpoint            text COLLATE "C" NOT NULL,
    lane                text COLLATE "C" NOT NULL,
    status              text COLLATE "C" NOT NULL CHECK (status IN ('processed', 'pending', 'failed')),
    processed           boolean NOT NULL GENERATED ALWAYS AS (status = 'processed') STORED,
    body                bytea NOT NULL,
    body_sha256         bytea NOT NULL,
    signature           text COLLATE "C" NOT NULL,
    occurred_at         timestamptz,
    created_at          timestamptz NOT NULL,
    processed_at        timestamptz,
    duplicates          integer NOT NULL DEFAULT 0,
    other_id_duplicates integer NOT NULL DEFAULT 0,
    attempts            integer NOT NULL DEFAULT 1,
    next_attempt_at     timestamptz,
    error               text,
    traceparent         text COLLATE "C",
    tracestate          text COLLATE "C",
    PRIMARY KEY (razorpay_event_id, created_at),
    CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL))
) PARTITION BY RANGE (created_at);

CREATE INDEX webhook_events_created_at ON webhook_events (created_at);
CREATE INDEX webhook_events_due ON webhook_events (next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_events_dead_letters ON webhook_events (created_at) WHERE status = 'failed';

-- Bodies are small and already compact: compressing them costs more than it saves.
ALTER TABLE webhook_events ALTER COLUMN body SET STORAGE EXTERNAL;

COMMENT ON TABLE webhook_events IS 'Every verified event once, with its exact bytes. Partitioned by month of receipt.';
COMMENT ON COLUMN webhook_events.razorpay_event_id IS 'X-Razorpay-Event-Id; sha256:<hex> of the body where none was sent; <id>~<digest> for a second body under one id. Unique through event_identities.';
COMMENT ON COLUMN webhook_events.event_type IS 'The event''s name, or unknown where the body has none.';
COMMENT ON COLUMN webhook_events.status IS 'processed; pending (to be attempted at next_attempt_at); failed (a dead letter).';
COMMENT ON COLUMN webhook_events.body IS 'The body, byte for byte as it was signed.';
COMMENT ON COLUMN webhook_events.occurred_at IS 'When the event happened by Razorpay''s clock, where the body tells.';
COMMENT ON COLUMN webhook_events.created_at IS 'When the first delivery was received, by our clock.';
COMMENT ON COLUMN webhook_events.processed_at IS 'When the transaction that applied it was about to commit.';
COMMENT ON COLUMN webhook_events.duplicates IS 'Deliveries beyond the first under this id; a batch repeated after a crash counts too.';
COMMENT ON COLUMN webhook_events.other_id_duplicates IS 'Deliveries of the same signed body under other event ids.';
COMMENT ON COLUMN webhook_events.attempts IS 'Attempts to process it since it was received or last replayed.';
COMMENT ON COLUMN webhook_events.error IS 'Why the last attempt failed.';
COMMENT ON COLUMN webhook_events.traceparent IS 'W3C trace context of the delivery.';

-- A row whose month has no partition yet must not be refused.
CREATE TABLE webhook_events_default PARTITION OF webhook_events DEFAULT;

CREATE TABLE audit_logs (
    at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor             text NOT NULL,
    action            text NOT NULL,
    entity_type       text COLLATE "C" NOT NULL,
    entity_id         text COLLATE "C" NOT NULL,
    razorpay_event_id text COLLATE "C",
    from_status       text COLLATE "C",
    to_status         text COLLATE "C",
    detail            jsonb
) PARTITION BY RANGE (at);

CREATE INDEX audit_logs_entity ON audit_logs (entity_id, at);
CREATE INDEX audit_logs_event ON audit_logs (razorpay_event_id);

COMMENT ON TABLE audit_logs IS 'Every change of an entity''s status and every operator''s action. Partitioned by month.';
COMMENT ON COLUMN audit_logs.at IS 'When the row was written, after its entity was locked: the changes of one entity are in order.';
COMMENT ON COLUMN audit_logs.actor IS 'worker, or operator:<name>.';
COMMENT ON COLUMN audit_logs.action IS 'status_changed, or the operator''s command such as replay.';
COMMENT ON COLUMN audit_logs.from_status IS 'Null where the entity was not known before.';

CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;

-- Creates the monthly partitions from last month to `months_ahead` from now, where missing.
-- Months begin in UTC. Safe to run from many places at once, and late: rows of such a month that went
-- to the default partition meanwhile are moved.
-- It must not queue behind a long reader: everyone else would queue behind it. It gives up, and is
-- called again later.
CREATE FUNCTION harkara_ensure_partitions(months_ahead integer) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    parent    text;
    key       text;
    columns   text;
    month     timestamp;
    begins    timestamptz;
    ends      timestamptz;
    partition text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('harkara_ensure_partitions'));
    FOR parent, key IN VALUES ('webhook_events', 'created_at'), ('audit_logs', 'at') LOOP
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
        WHERE attrelid = parent::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        FOR offset_months IN -1..months_ahead LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => offset_months);
            begins := month AT TIME ZONE 'UTC';
            ends := (month + interval '1 month') AT TIME ZONE 'UTC';
            partition := parent || '_' || to_char(month, 'YYYY"_"MM');
            IF to_regclass(partition) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE)',
                    partition, parent);
                -- The default partition would refuse a neighbour for rows that it holds.
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
                EXECUTE format(
                    'WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING %5$s) '
                    'INSERT INTO %6$I (%5$s) SELECT %5$s FROM moved',
                    parent || '_default', key, begins, ends, columns, partition);
                EXECUTE format(
                    'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, partition, begins, ends);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
SELECT harkara_ensure_partitions(2);

-- Null for a body that is not JSON, or that jsonb cannot hold.
CREATE FUNCTION harkara_body_as_jsonb(body bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE VIEW webhook_event_payloads AS
    SELECT razorpay_event_id, event_type, created_at, harkara_body_as_jsonb(body) AS payload FROM webhook_events;
COMMENT ON VIEW webhook_event_payloads IS 'Bodies as jsonb; null where a body is not JSON.';

-- What a binary must know to work on this schema. A migration that breaks older binaries raises it.
CREATE TABLE harkara_schema (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    compatible_from text NOT NULL
);
INSERT INTO harkara_schema (compatible_from) VALUES ('20261123000001');
COMMENT ON COLUMN harkara_schema.compatible_from IS 'The oldest migration that a binary must contain to run against this schema.';
