-- Take one job as it was just seen; no row changes when another owner was quicker.
-- writes: job
-- params: id, fence, status (as seen), owner, lease_s, message
UPDATE job
SET
    message = :message,
    owner = :owner,
    fence = fence + 1,
    attempts = attempts + 1,
    lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', :lease_s || ' seconds'),
    started_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'running'
WHERE
    id = :id
    AND fence = :fence
    AND status = :status
    AND (
        status = 'waiting'
        OR lease_until IS NULL
        OR lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')
    );
