-- Complete imports whose records do not each end in exactly one place.
-- reads:  import_queue
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    q.id AS subject,
    q.records AS expected_count,
    q.loaded
    + q.duplicates
    + q.conflicts
    + q.rejected
    + q.suspended
    + q.ignored AS found_count,
    0 AS expected_micros,
    0 AS found_micros
FROM import_queue AS q
WHERE
    q.complete = 1
    AND q.records
    <> q.loaded + q.duplicates + q.conflicts + q.rejected + q.suspended + q.ignored
ORDER BY q.id;
