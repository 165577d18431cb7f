-- Mark a running job done, if it is still this owner's.
-- writes: job
-- params: id, owner, fence, result
UPDATE job
SET
    result = :result,
    message = NULL,
    active_key = NULL,
    lease_until = NULL,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    finished_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'done'
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
