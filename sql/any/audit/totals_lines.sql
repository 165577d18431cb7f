-- Totals that are not the sum of their lines.
-- reads:  total_usage_new_table, total_usage_line
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH l AS (
    SELECT
        customer_id,
        cycle_start_date,
        sum(cdr_count) AS cdr_count,
        sum(cost_micros) AS cost_micros
    FROM total_usage_line
    GROUP BY customer_id, cycle_start_date
)

SELECT
    t.id AS subject,
    t.cdr_count AS expected_count,
    coalesce(l.cdr_count, 0) AS found_count,
    t.total_cost_micros AS expected_micros,
    coalesce(l.cost_micros, 0) AS found_micros
FROM total_usage_new_table AS t
LEFT JOIN l
    ON
        t.customer_id = l.customer_id
        AND t.cycle_start_date = l.cycle_start_date
WHERE
    t.cdr_count <> coalesce(l.cdr_count, 0)
    OR t.total_cost_micros <> coalesce(l.cost_micros, 0)
ORDER BY t.id;
