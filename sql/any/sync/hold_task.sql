-- Hold a task's row until this transaction ends, so that its state is told by one at a time.
-- writes: sync_task
-- params: id
UPDATE sync_task
SET status = status
WHERE id = :id;
