-- Extend the lease of a running job; no row changes when it has another owner by now.
-- writes: job
-- params: id, owner, fence, lease_s
UPDATE job
SET
    lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', :lease_s || ' seconds'),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
