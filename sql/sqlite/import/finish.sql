-- Mark an import complete; from this commit on its records count.
-- writes: import_queue
-- params: import_id, records, loaded, duplicates, conflicts, rejected, suspended, ignored,
--         cost_micros, duration_ms, first_call_date, last_call_date, message
UPDATE import_queue
SET
    locked = 0,
    complete = 1,
    status = 'done',
    message = :message,
    records = :records,
    loaded = :loaded,
    duplicates = :duplicates,
    conflicts = :conflicts,
    rejected = :rejected,
    suspended = :suspended,
    ignored = :ignored,
    cost_micros = :cost_micros,
    duration_ms = :duration_ms,
    first_call_date = :first_call_date,
    last_call_date = :last_call_date,
    lease_until = NULL,
    finished_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE id = :import_id;
