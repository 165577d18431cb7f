-- The imports of the last 24 hours, the newest first.
-- reads:  import_queue
-- params: none
-- yields: id, type, status, locked, complete, records, loaded, message, created_at, updated_at
SELECT
    id,
    type,
    status,
    locked,
    complete,
    records,
    loaded,
    message,
    created_at,
    updated_at
FROM import_queue
WHERE created_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-24 hours')
ORDER BY created_at DESC, id DESC;
