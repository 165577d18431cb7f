-- The first delivery of a provider before this one whose import is still in the queue.
-- reads:  import_queue, job
-- params: provider, import_id, commands
-- yields: id
SELECT q.id
FROM import_queue AS q
INNER JOIN job AS j ON j.work_key = cast(q.id AS char)
WHERE
    j.status IN ('waiting', 'running')
    AND j.command IN :commands
    AND q.provider = :provider
    AND q.id < :import_id
    AND q.complete = 0
ORDER BY q.id
LIMIT 1;
