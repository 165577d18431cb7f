-- All jobs of one run, in the order they were stored.
-- reads:  job
-- params: run_id
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
WHERE run_id = :run_id
ORDER BY id;
