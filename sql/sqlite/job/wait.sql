-- Put a running job back for later, if it is still this owner's.
-- writes: job
-- params: id, owner, fence, delay_s, unused_attempts (1 = this attempt does not count), message
UPDATE job
SET
    message = :message,
    owner = NULL,
    lease_until = NULL,
    attempts = attempts - :unused_attempts,
    available_at = strftime('%Y-%m-%d %H:%M:%f', 'now', :delay_s || ' seconds'),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'waiting'
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
