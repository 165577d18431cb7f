-- One job by its id.
-- reads:  job
-- params: id
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
WHERE id = :id;
