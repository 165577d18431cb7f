-- Cycles of some customers that one-off allowances cover, and cycles that wait anyway; one
-- that is both comes twice.
-- reads:  total_allowance, total_usage_new_table, dirty_cycle
-- params: customer_ids
-- yields: customer_id, cycle_start_date, cycle_end_date
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date
FROM total_usage_new_table AS t
WHERE
    t.customer_id IN :customer_ids
    AND EXISTS (
        SELECT 1
        FROM total_allowance AS a
        WHERE
            a.customer_id = t.customer_id
            AND a.cycle_start_date = t.cycle_start_date
            AND a.is_once = 1
    )
UNION ALL
SELECT
    d.customer_id,
    d.cycle_start_date,
    d.cycle_end_date
FROM dirty_cycle AS d
WHERE d.customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
