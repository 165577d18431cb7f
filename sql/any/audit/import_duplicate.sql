-- Complete imports whose duplicate records are not the number they say.
-- reads:  import_queue, duplicate_record
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH r AS (
    SELECT
        import_id,
        count(*) AS record_count
    FROM duplicate_record
    GROUP BY import_id
)

SELECT
    q.id AS subject,
    q.duplicates AS expected_count,
    coalesce(r.record_count, 0) AS found_count,
    0 AS expected_micros,
    0 AS found_micros
FROM import_queue AS q
LEFT JOIN r ON q.id = r.import_id
WHERE
    q.complete = 1
    AND q.duplicates <> coalesce(r.record_count, 0)
ORDER BY q.id;
