-- Mark a running job done, if it is still this owner's.
-- writes: job
-- params: id, owner, fence, result
UPDATE job
SET
    result = :result,
    message = NULL,
    active_key = NULL,
    lease_until = NULL,
    updated_at = CURRENT_TIMESTAMP(6),
    finished_at = CURRENT_TIMESTAMP(6),
    status = 'done'
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
