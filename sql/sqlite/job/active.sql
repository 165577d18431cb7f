-- The job that holds a piece of work: waiting or running.
-- reads:  job
-- params: active_key
-- yields: id
SELECT id
FROM job
WHERE active_key = :active_key;
