-- The jobs of one run: how each stands and what it said.
-- reads:  job
-- params: run_id
-- yields: id, command, status, message, result
SELECT
    id,
    command,
    status,
    message,
    result
FROM job
WHERE run_id = :run_id
ORDER BY id;
