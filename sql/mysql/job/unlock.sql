-- Take a running job from its owner, whose commits are refused from then on.
-- writes: job
-- params: id, fence (as seen), message
UPDATE job
SET
    message = :message,
    owner = NULL,
    fence = fence + 1,
    lease_until = NULL,
    available_at = CURRENT_TIMESTAMP(6),
    updated_at = CURRENT_TIMESTAMP(6),
    status = 'waiting'
WHERE
    id = :id
    AND fence = :fence
    AND status = 'running';
