-- The statement comes first in its transaction, so "about to commit" said too much.
COMMENT ON COLUMN webhook_events.processed_at IS 'When its row was written or settled, early in the transaction that applied it.';
