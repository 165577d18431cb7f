-- An import is backed out: nothing of it is stored any more.
-- writes: import_queue
-- params: import_id, message
UPDATE import_queue
SET
    status = 'reverted',
    locked = 0,
    message = :message,
    records = 0,
    loaded = 0,
    duplicates = 0,
    conflicts = 0,
    rejected = 0,
    suspended = 0,
    ignored = 0,
    cost_micros = 0,
    first_call_date = NULL,
    last_call_date = NULL,
    finished_at = NULL,
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND status = 'reverting';
