-- Unlock imports whose owner stopped answering.
-- writes: import_queue
-- params: none
UPDATE import_queue
SET
    locked = 0,
    message = 'owner lost; the import will be resumed',
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE
    locked = 1
    AND complete = 0
    AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now');
