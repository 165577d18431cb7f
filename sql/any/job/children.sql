-- The jobs that follow one job, in the order they were stored.
-- reads:  job
-- params: parent_id
-- yields: id
SELECT id
FROM job
WHERE parent_id = :parent_id
ORDER BY id;
