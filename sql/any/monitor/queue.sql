-- How many jobs the queue holds by status.
-- reads:  job
-- params: none
-- yields: status, job_count
SELECT
    status,
    count(*) AS job_count
FROM job
WHERE status IN ('waiting', 'running', 'failed')
GROUP BY status
ORDER BY status;
