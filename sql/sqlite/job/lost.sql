-- The running jobs whose owner let the lease end.
-- reads:  job
-- params: any_command (1 = all), commands, run_id (NULL = all), limit_rows
-- yields: id, fence, status, owner, attempts, max_attempts, message
SELECT
    id,
    fence,
    status,
    owner,
    attempts,
    max_attempts,
    message
FROM job
WHERE
    status = 'running'
    AND (lease_until IS NULL OR lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now'))
    AND (:any_command = 1 OR command IN :commands)
    AND (:run_id IS NULL OR run_id = :run_id)
ORDER BY available_at, id
LIMIT :limit_rows;
