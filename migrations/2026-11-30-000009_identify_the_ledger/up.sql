-- Written once: the row exists since the first migration, and the default is computed here for it alone.
ALTER TABLE harkara_schema ADD COLUMN ledger_id uuid NOT NULL DEFAULT gen_random_uuid();
COMMENT ON COLUMN harkara_schema.ledger_id IS 'Which ledger this is. Marks its streams in Redis, so that no other deployment reads them. A copy of the database has the same.';
