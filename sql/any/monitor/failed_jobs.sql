-- Failed jobs whose work no later job has done, the newest first.
-- reads:  job
-- params: limit_rows
-- yields: id, command, work_key, attempts, message, finished_at
SELECT
    j.id,
    j.command,
    j.work_key,
    j.attempts,
    j.message,
    j.finished_at
FROM job AS j
WHERE
    j.status = 'failed'
    AND NOT EXISTS (
        SELECT 1
        FROM job AS later
        WHERE
            later.command = j.command
            AND later.work_key = j.work_key
            AND later.id > j.id
            AND later.status = 'done'
    )
ORDER BY j.id DESC
LIMIT :limit_rows;
