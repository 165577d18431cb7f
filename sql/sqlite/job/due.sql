-- The next waiting jobs whose time has come.
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
    status = 'waiting'
    AND available_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
    AND (:any_command = 1 OR command IN :commands)
    AND (:run_id IS NULL OR run_id = :run_id)
ORDER BY available_at, id
LIMIT :limit_rows;
