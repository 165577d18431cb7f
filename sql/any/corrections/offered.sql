-- Complete imports with records that were set aside because of another import's.
-- reads:  duplicate_record, conflict_record, import_queue
-- params: import_id (the one the records were set aside for)
-- yields: id, provider, file_name, sha256, control_text, duplicates, conflicts
SELECT
    q.id,
    q.provider,
    q.file_name,
    q.sha256,
    q.control_text,
    sum(a.duplicates) AS duplicates,
    sum(a.conflicts) AS conflicts
FROM (
    SELECT
        import_id,
        count(*) AS duplicates,
        0 AS conflicts
    FROM duplicate_record
    WHERE against_import_id = :import_id
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        count(*)
    FROM conflict_record
    WHERE against_import_id = :import_id
    GROUP BY import_id
) AS a
INNER JOIN import_queue AS q ON a.import_id = q.id
WHERE
    q.complete = 1
    AND q.id <> :import_id
GROUP BY q.id, q.provider, q.file_name, q.sha256, q.control_text
ORDER BY q.id;
