-- Complete imports with records that wait for an owner, oldest first.
-- reads:  import_queue, suspended_record
-- params: first_import_id, last_import_id
-- yields: id, provider
SELECT
    q.id,
    q.provider
FROM import_queue AS q
WHERE
    q.id BETWEEN :first_import_id AND :last_import_id
    AND q.complete = 1
    AND EXISTS (
        SELECT 1
        FROM suspended_record AS s
        WHERE s.import_id = q.id
    )
ORDER BY q.provider, q.id;
