-- How many jobs wait.
-- reads:  job
-- yields: waiting
SELECT count(*) AS waiting
FROM job
WHERE status = 'waiting';
