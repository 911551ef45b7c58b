ALTER TABLE webhook_events ADD COLUMN durability text COLLATE "C";
COMMENT ON COLUMN webhook_events.durability IS 'How durable the delivery was when it was answered: appended, fsynced or replicated by Redis, or stored (here, because Redis could not take it). Null in older rows.';
COMMENT ON COLUMN webhook_events.attempts IS 'Attempts to process it since it was received or last replayed; 0 where it waits for its first.';
