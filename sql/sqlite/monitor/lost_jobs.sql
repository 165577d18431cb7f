-- Running jobs whose owner let the lease end, the oldest first.
-- reads:  job
-- params: none
-- yields: id, command, owner, age_s (since the lease ended)
SELECT
    id,
    command,
    owner,
    cast(strftime('%s', 'now') AS integer)
    - cast(strftime('%s', lease_until) AS integer) AS age_s
FROM job
WHERE
    status = 'running'
    AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')
ORDER BY id;
