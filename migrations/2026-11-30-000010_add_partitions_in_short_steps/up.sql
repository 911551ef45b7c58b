-- `harkara_ensure_partitions` moved all rows of a month out of the default partition while it held that
-- partition exclusively. Now it adds only partitions that take a moment; rows that came in a month without
-- one are dealt with in `storage::partitions`, which does not move them.

-- The partitions of a table of ours but the default one, with their bounds.
CREATE FUNCTION harkara_partition_ranges(parent text) RETURNS TABLE (partition text, begins timestamptz, ends timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT relname::text,
        coalesce(substring(bound FROM $re$FROM \('([^']+)'\)$re$), '-infinity')::timestamptz,
        coalesce(substring(bound FROM $re$TO \('([^']+)'\)$re$), 'infinity')::timestamptz
    FROM (
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
    ) partitions
    WHERE bound <> 'DEFAULT'
$$;
COMMENT ON FUNCTION harkara_partition_ranges IS 'The range partitions of webhook_events or audit_logs.';

-- Adds the partition of a month (in UTC) if that takes a moment: not if a partition covers any of it, if the
-- default partition holds rows of it, or if that is too large to be searched for them under its lock.
-- It must not queue behind a long reader: everyone else would queue behind it. It gives up, and is called
-- again later.
CREATE FUNCTION harkara_add_partition(parent text, key text, month timestamp) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
    searched_bytes_max constant bigint := 16 * 1024 * 1024;
    defaults     text := parent || '_default';
    month_begins timestamptz := month AT TIME ZONE 'UTC';
    month_ends   timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    partition    text := parent || '_' || to_char(month, 'YYYY"_"MM');
    is_late      boolean;
BEGIN
    IF EXISTS (SELECT FROM harkara_partition_ranges(parent) r WHERE r.begins < month_ends AND r.ends > month_begins)
        OR to_regclass(partition) IS NOT NULL OR pg_relation_size(defaults::regclass) > searched_bytes_max
    THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %2$I >= %3$L AND %2$I < %4$L)',
        defaults, key, month_begins, month_ends) INTO is_late;
    IF is_late THEN
        RETURN;
    END IF;
    -- First a lock that commits and readers do not mind, for which autovacuum makes way only after a second.
    PERFORM set_config('lock_timeout', '5s', true);
    EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', defaults);
    PERFORM set_config('lock_timeout', '200ms', true);
    EXECUTE format(
        'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        partition, parent);
    IF parent = 'webhook_events' THEN
        EXECUTE format('ALTER TABLE %I SET (toast_tuple_target = 4080)', partition);
    END IF;
    EXECUTE format('ALTER TABLE %I OWNER TO %I', partition,
        (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = parent::regclass));
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, partition, month_begins, month_ends);
END
$$;
COMMENT ON FUNCTION harkara_add_partition IS 'Adds the partition of a month, if that takes a moment.';

-- Adds the partitions from last month to `months_ahead` from now, where missing. Newer binaries add each in
-- a transaction of its own.
CREATE OR REPLACE FUNCTION harkara_ensure_partitions(months_ahead integer) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
    parent text;
    key    text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('harkara_ensure_partitions')) THEN
        RETURN;
    END IF;
    FOR parent, key IN VALUES ('webhook_events', 'created_at'), ('audit_logs', 'at') LOOP
        FOR offset_months IN -1..months_ahead LOOP
            PERFORM harkara_add_partition(parent, key,
                date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => offset_months));
        END LOOP;
    END LOOP;
END
$$;
