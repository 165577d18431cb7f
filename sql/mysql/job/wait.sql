-- Put a running job back for later, if it is still this owner's.
-- writes: job
-- params: id, owner, fence, delay_s, unused_attempts (1 = this attempt does not count), message
UPDATE job
SET
    message = :message,
    owner = NULL,
    lease_until = NULL,
    attempts = attempts - :unused_attempts,
    available_at = CURRENT_TIMESTAMP(6) + INTERVAL :delay_s SECOND,
    updated_at = CURRENT_TIMESTAMP(6),
    status = 'waiting'
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
