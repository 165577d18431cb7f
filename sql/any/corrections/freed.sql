-- Imports that an operator unlocked by hand, or whose owner was lost, the oldest first.
-- reads:  import_queue
-- params: none
-- yields: id, provider
SELECT
    id,
    provider
FROM import_queue
WHERE
    complete = 0
    AND locked = 0
    AND (
        status = 'running'
        OR (status IN ('waiting', 'failed') AND message LIKE 'Reset manually%')
    )
ORDER BY id;
