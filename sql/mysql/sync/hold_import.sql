-- Let a delivery that was just registered wait for a person.
-- writes: import_queue
-- params: import_id, message
UPDATE import_queue
SET
    status = 'held',
    message = :message,
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND status = 'waiting'
    AND complete = 0;
