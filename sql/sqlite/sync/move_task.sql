-- Say how a task stands: running, waiting, done or failed.
-- writes: sync_task
-- params: id, status, message, has_started (1 = work has begun), has_ended (1 = no more to do)
UPDATE sync_task
SET
    status = :status,
    message = :message,
    started_at = CASE
        WHEN :has_started = 1
            THEN coalesce(started_at, strftime('%Y-%m-%d %H:%M:%f', 'now'))
        ELSE started_at
    END,
    finished_at = CASE WHEN :has_ended = 1 THEN strftime('%Y-%m-%d %H:%M:%f', 'now') END
WHERE id = :id;
