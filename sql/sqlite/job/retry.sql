-- Make a failed or waiting job due now, with all its attempts before it.
-- writes: job
-- params: id, active_key
UPDATE job
SET
    active_key = :active_key,
    owner = NULL,
    attempts = 0,
    available_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    finished_at = NULL,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    status = 'waiting'
WHERE
    id = :id
    AND status IN ('failed', 'waiting');
