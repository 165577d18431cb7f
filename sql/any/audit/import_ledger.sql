-- Complete imports whose ledger does not add up to what they say they loaded.
-- reads:  import_queue, import_batch
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH b AS (
    SELECT
        import_id,
        sum(record_count) AS record_count,
        sum(cost_micros) AS cost_micros
    FROM import_batch
    GROUP BY import_id
)

SELECT
    q.id AS subject,
    q.loaded AS expected_count,
    coalesce(b.record_count, 0) AS found_count,
    q.cost_micros AS expected_micros,
    coalesce(b.cost_micros, 0) AS found_micros
FROM import_queue AS q
LEFT JOIN b ON q.id = b.import_id
WHERE
    q.complete = 1
    AND (
        q.loaded <> coalesce(b.record_count, 0)
        OR q.cost_micros <> coalesce(b.cost_micros, 0)
    )
ORDER BY q.id;
