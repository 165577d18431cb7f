-- A task that has nothing to do, because an earlier one is still under way.
-- writes: sync_task
-- params: id, message
UPDATE sync_task
SET
    status = 'skipped',
    message = :message,
    finished_at = CURRENT_TIMESTAMP(6)
WHERE id = :id;
