-- How many jobs are due, and how long the oldest of them waits.
-- reads:  job
-- params: none
-- yields: due_count, age_s
SELECT
    count(*) AS due_count,
    cast(strftime('%s', 'now') AS integer)
    - cast(strftime('%s', min(available_at)) AS integer) AS age_s
FROM job
WHERE
    status = 'waiting'
    AND available_at <= strftime('%Y-%m-%d %H:%M:%f', 'now');
