ALTER TABLE webhook_events ADD COLUMN secret_fingerprint text COLLATE "C";
COMMENT ON COLUMN webhook_events.secret_fingerprint IS 'Which webhook secret verified the first delivery: the fingerprint that `harkara secrets` lists beside each. Null in older rows.';
