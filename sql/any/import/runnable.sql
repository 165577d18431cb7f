-- Imports of a provider that nobody works on and that need no person, oldest first.
-- reads:  import_queue
-- params: provider
-- yields: id
SELECT id
FROM import_queue
WHERE
    provider = :provider
    AND complete = 0
    AND locked = 0
    AND status IN ('waiting', 'running', 'failed')
ORDER BY id;
