-- Give up a job, as it was just seen, that has used all its attempts.
-- writes: job
-- params: id, fence, status (as seen), message
UPDATE job
SET
    message = :message,
    active_key = NULL,
    owner = NULL,
    fence = fence + 1,
    lease_until = NULL,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    finished_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'failed'
WHERE
    id = :id
    AND fence = :fence
    AND status = :status
    AND (
        status = 'waiting'
        OR lease_until IS NULL
        OR lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')
    );
