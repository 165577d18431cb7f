-- Let an import that waited for a person go on.
-- writes: import_queue
-- params: import_id, message
UPDATE import_queue
SET
    status = 'waiting',
    message = :message,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE
    id = :import_id
    AND complete = 0
    AND locked = 0
    AND status IN ('held', 'refused', 'failed', 'reverted');
