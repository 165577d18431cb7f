-- Imports of a provider that stopped after some of their batches were stored, but one.
-- reads:  import_queue, import_batch
-- params: provider, import_id
-- yields: id
SELECT q.id
FROM import_queue AS q
WHERE
    q.provider = :provider
    AND q.id <> :import_id
    AND q.complete = 0
    AND q.status IN ('waiting', 'running', 'failed')
    AND EXISTS (
        SELECT 1
        FROM import_batch AS b
        WHERE b.import_id = q.id
    )
ORDER BY q.id;
