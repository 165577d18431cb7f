-- Complete imports whose records do not add up over the cycles they touched.
-- reads:  import_queue, import_cycle
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH c AS (
    SELECT
        import_id,
        sum(record_count) AS record_count,
        sum(cost_micros) AS cost_micros
    FROM import_cycle
    GROUP BY import_id
)

SELECT
    q.id AS subject,
    q.loaded AS expected_count,
    coalesce(c.record_count, 0) AS found_count,
    q.cost_micros AS expected_micros,
    coalesce(c.cost_micros, 0) AS found_micros
FROM import_queue AS q
LEFT JOIN c ON q.id = c.import_id
WHERE
    q.complete = 1
    AND (
        q.loaded <> coalesce(c.record_count, 0)
        OR q.cost_micros <> coalesce(c.cost_micros, 0)
    )
ORDER BY q.id;
