-- Mark a running job failed, if it is still this owner's; the same work may be sent again.
-- writes: job
-- params: id, owner, fence, message
UPDATE job
SET
    message = :message,
    active_key = NULL,
    lease_until = NULL,
    updated_at = CURRENT_TIMESTAMP(6),
    finished_at = CURRENT_TIMESTAMP(6),
    status = 'failed'
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
