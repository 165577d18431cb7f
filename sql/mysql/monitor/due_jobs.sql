-- How many jobs are due, and how long the oldest of them waits.
-- reads:  job
-- params: none
-- yields: due_count, age_s
SELECT
    count(*) AS due_count,
    timestampdiff(SECOND, min(available_at), CURRENT_TIMESTAMP(6)) AS age_s
FROM job
WHERE
    status = 'waiting'
    AND available_at <= CURRENT_TIMESTAMP(6);
