-- Imports that a person or a worker should look at, the oldest first.
-- reads:  import_queue
-- params: none
-- yields: id, type, file_name, status, message, expired (1 = locked by an owner that is gone), age_s
SELECT
    id,
    type,
    file_name,
    status,
    message,
    CASE
        WHEN locked = 1 AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now') THEN 1 ELSE 0
    END AS expired,
    cast(strftime('%s', 'now') AS integer)
    - cast(strftime('%s', updated_at) AS integer) AS age_s
FROM import_queue
WHERE
    complete = 0
    AND (
        status IN ('refused', 'held', 'failed', 'reverting')
        OR (locked = 1 AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now'))
    )
ORDER BY id;
