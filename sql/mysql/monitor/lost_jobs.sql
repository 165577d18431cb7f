-- Running jobs whose owner let the lease end, the oldest first.
-- reads:  job
-- params: none
-- yields: id, command, owner, age_s (since the lease ended)
SELECT
    id,
    command,
    owner,
    timestampdiff(SECOND, lease_until, CURRENT_TIMESTAMP(6)) AS age_s
FROM job
WHERE
    status = 'running'
    AND lease_until < CURRENT_TIMESTAMP(6)
ORDER BY id;
