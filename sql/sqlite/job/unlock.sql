-- Take a running job from its owner, whose commits are refused from then on.
-- writes: job
-- params: id, fence (as seen), message
UPDATE job
SET
    message = :message,
    owner = NULL,
    fence = fence + 1,
    lease_until = NULL,
    available_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'waiting'
WHERE
    id = :id
    AND fence = :fence
    AND status = 'running';
