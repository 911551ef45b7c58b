-- The function catches errors, which takes a subtransaction, and those are not allowed in a parallel query,
-- not even in its leader. PostgreSQL planned one from some ten thousand rows, and the view failed.
ALTER FUNCTION harkara_body_as_jsonb(bytea) PARALLEL UNSAFE;
