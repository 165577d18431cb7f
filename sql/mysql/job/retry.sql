-- Make a failed or waiting job due now, with all its attempts before it.
-- writes: job
-- params: id, active_key
UPDATE job
SET
    active_key = :active_key,
    owner = NULL,
    attempts = 0,
    available_at = CURRENT_TIMESTAMP(6),
    finished_at = NULL,
    updated_at = CURRENT_TIMESTAMP(6),
    status = 'waiting'
WHERE
    id = :id
    AND status IN ('failed', 'waiting');
