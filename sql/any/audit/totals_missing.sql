-- Cycles that complete imports touched but that have no totals and wait for none.
-- reads:  import_cycle, import_queue, total_usage_new_table, dirty_cycle
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    c.customer_id AS subject,
    sum(c.record_count) AS expected_count,
    0 AS found_count,
    sum(c.cost_micros) AS expected_micros,
    0 AS found_micros
FROM import_cycle AS c
INNER JOIN import_queue AS q ON c.import_id = q.id
WHERE
    q.complete = 1
    AND NOT EXISTS (
        SELECT 1
        FROM total_usage_new_table AS t
        WHERE
            t.customer_id = c.customer_id
            AND t.cycle_start_date = c.cycle_start_date
    )
    AND NOT EXISTS (
        SELECT 1
        FROM dirty_cycle AS d
        WHERE
            d.customer_id = c.customer_id
            AND d.cycle_start_date = c.cycle_start_date
    )
GROUP BY c.customer_id, c.cycle_start_date
ORDER BY c.customer_id;
