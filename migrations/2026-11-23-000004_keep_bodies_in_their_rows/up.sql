-- A ledger row above two kilobytes had its body moved to a table of its own, in pieces and with an index
-- entry for each: dearer to write, and to read. Now a row may have half a page, which nearly all fit.
-- A partitioned table has no such setting itself, so every partition gets it, here and when it is made.

DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'webhook_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = 4080)', partition);
    END LOOP;
END
$$;

-- As before, but for the setting.
CREATE OR REPLACE FUNCTION harkara_ensure_partitions(months_ahead integer) RETURNS void
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
                IF parent = 'webhook_events' THEN
                    EXECUTE format('ALTER TABLE %I SET (toast_tuple_target = 4080)', partition);
                END IF;
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
