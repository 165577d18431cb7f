-- Tasks that are not at their end.
-- reads:  sync_task
-- params: none
-- yields: id
SELECT id
FROM sync_task
WHERE status IN ('waiting', 'running')
ORDER BY id;
