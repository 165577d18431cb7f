-- Take one job as it was just seen; no row changes when another owner was quicker.
-- writes: job
-- params: id, fence, status (as seen), owner, lease_s, message
UPDATE job
SET
    message = :message,
    owner = :owner,
    fence = fence + 1,
    attempts = attempts + 1,
    lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND,
    started_at = CURRENT_TIMESTAMP(6),
    updated_at = CURRENT_TIMESTAMP(6),
    status = 'running'
WHERE
    id = :id
    AND fence = :fence
    AND status = :status
    AND (status = 'waiting' OR lease_until IS NULL OR lease_until < CURRENT_TIMESTAMP(6));
