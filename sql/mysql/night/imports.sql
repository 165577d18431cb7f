-- The imports that changed since a night began, oldest first.
-- reads:  import_queue
-- params: since_s (seconds since 1970, database clock)
-- yields: id, provider, file_name, status, message, the counts, cost_micros, duration_ms
SELECT
    q.id,
    q.provider,
    q.file_name,
    q.status,
    q.message,
    q.records,
    q.loaded,
    q.duplicates,
    q.conflicts,
    q.rejected,
    q.suspended,
    q.ignored,
    q.cost_micros,
    q.duration_ms
FROM import_queue AS q
WHERE unix_timestamp(q.updated_at) >= :since_s
ORDER BY q.id;
