-- While it waits for its locks, beside a long reader such as pg_dump, every commit waits behind it.
ALTER FUNCTION harkara_ensure_partitions(integer) SET lock_timeout = '150ms';
