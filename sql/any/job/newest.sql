-- The newest jobs, newest first.
-- reads:  job
-- params: status (NULL = all), command (NULL = all), limit_rows
-- yields: id, command, payload, work_key, run_id, parent_id, status, attempts, max_attempts,
--         owner, fence, message, result, available_at, lease_until, created_at, started_at,
--         finished_at
SELECT
    id,
    command,
    payload,
    work_key,
    run_id,
    parent_id,
    status,
    attempts,
    max_attempts,
    owner,
    fence,
    message,
    result,
    available_at,
    lease_until,
    created_at,
    started_at,
    finished_at
FROM job
WHERE
    (:status IS NULL OR status = :status)
    AND (:command IS NULL OR command = :command)
ORDER BY id DESC
LIMIT :limit_rows;
