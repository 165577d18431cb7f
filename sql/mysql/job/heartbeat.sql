-- Extend the lease of a running job; no row changes when it has another owner by now.
-- writes: job
-- params: id, owner, fence, lease_s
UPDATE job
SET
    lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND,
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
