-- Begin to back an import out: its records count no longer, and no run may take it up.
-- writes: import_queue
-- params: import_id, owner, message
UPDATE import_queue
SET
    status = 'reverting',
    complete = 0,
    locked = 1,
    owner = :owner,
    fence = fence + 1,
    lease_until = NULL,
    message = :message,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE
    id = :import_id
    AND status <> 'reverted';
