-- End an attempt without completing it: refused, held, failed, or handed back as waiting.
-- writes: import_queue
-- params: import_id, status, message, records, rejected
UPDATE import_queue
SET
    locked = 0,
    status = :status,
    message = :message,
    records = :records,
    rejected = :rejected,
    lease_until = NULL,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE id = :import_id;
