#!/usr/bin/env bash
# What an event's identity costs beside its ledger row: rows a second and WAL bytes a row, for the ledger
# alone, both, and the identity alone, in turns. Needs psql and, as PGHOST, PGPORT and PGUSER, a server
# on which the database `insert_cost` may be made; it is dropped first if it is there.
#
#   PGHOST=127.0.0.1 PGPORT=15432 PGUSER=harkara crates/storage/benches/insert_cost.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

rows=40000
batch=200
turns=3
database=insert_cost

run() { psql --quiet --no-psqlrc --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$1" "${@:2}"; }

run postgres --command "DROP DATABASE IF EXISTS $database" --command "CREATE DATABASE $database"
for migration in migrations/*/up.sql; do run "$database" --file "$migration" > /dev/null; done

# Bodies of 1.7 kB that do not compress, in batches as a worker commits them; identities by digest.
prepare="
CREATE TEMP TABLE bodies AS
  SELECT g, (SELECT string_agg(sha256((g * 100 + k)::text::bytea), ''::bytea) FROM generate_series(1, 53) k) AS body
  FROM generate_series(1, $rows) g;
CREATE TEMP TABLE batches AS
  SELECT (g - 1) / $batch AS n, array_agg('evt' || lpad(g::text, 11, '0')) AS ids, array_agg(body) AS bodies,
    array_agg(sha256(body)) AS digests FROM bodies GROUP BY 1;
ALTER TABLE batches ADD sorted_ids text[], ADD sorted_digests bytea[];
UPDATE batches SET
  sorted_ids = (SELECT array_agg(i ORDER BY d) FROM unnest(ids, digests) u (i, d)),
  sorted_digests = (SELECT array_agg(d ORDER BY d) FROM unnest(digests) u (d));"

ledger="INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, body_sha256,
    signature, occurred_at, created_at, processed_at, traceparent)
  SELECT id, 'payment.captured', 'acc_00000000000001', 'default', 'default', 'processed', body, digest,
    encode(digest, 'hex'), now(), now(), clock_timestamp(), '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  FROM unnest(b.ids, b.bodies, b.digests) AS i (id, body, digest)"
identity="INSERT INTO event_identities (razorpay_event_id, body_sha256, created_at)
  SELECT id, digest, now() FROM unnest(b.sorted_ids, b.sorted_digests) AS i (id, digest) ON CONFLICT DO NOTHING"

measure() {
    run "$database" --command "TRUNCATE webhook_events, event_identities"
    # Only a superuser may. Without it a turn may pay for pages that an earlier one wrote.
    run "$database" --command "CHECKPOINT" 2> /dev/null || true
    run "$database" << SQL
$prepare
SELECT pg_current_wal_lsn() AS wal_before \gset
SELECT clock_timestamp() AS started \gset
DO \$\$ DECLARE b record; BEGIN FOR b IN SELECT * FROM batches ORDER BY n LOOP $2; COMMIT; END LOOP; END \$\$;
SELECT '$1: ' || round($rows / extract(epoch FROM clock_timestamp() - :'started')) || ' rows/s, '
  || round((pg_current_wal_lsn() - :'wal_before'::pg_lsn) / $rows) || ' WAL bytes a row';
SQL
}

for _ in $(seq "$turns"); do
    measure 'ledger alone' "$ledger"
    measure 'identity and ledger' "$identity; $ledger"
    measure 'identity alone' "$identity"
done
run postgres --command "DROP DATABASE $database"
