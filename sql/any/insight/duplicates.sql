-- Complete imports that had duplicates.
-- reads:  import_queue
-- params: none
-- yields: import_id, provider, file_name, records, duplicates
SELECT
    id AS import_id,
    provider,
    file_name,
    records,
    duplicates
FROM import_queue
WHERE
    complete = 1
    AND duplicates > 0
ORDER BY id;
