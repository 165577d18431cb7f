-- The totals of every cycle that contains a day.
-- reads:  total_usage_new_table, dirty_cycle
-- params: day
-- yields: customer_id, cycle_start_date, currency, cdr_count, unrated_count,
--         total_cost_micros, provider_cost_micros, is_dirty (1: it waits to be computed)
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.currency,
    t.cdr_count,
    t.unrated_count,
    t.total_cost_micros,
    t.provider_cost_micros,
    CASE WHEN d.customer_id IS NULL THEN 0 ELSE 1 END AS is_dirty
FROM total_usage_new_table AS t
LEFT JOIN dirty_cycle AS d
    ON
        t.customer_id = d.customer_id
        AND t.cycle_start_date = d.cycle_start_date
WHERE
    t.cycle_start_date <= :day
    AND t.cycle_end_date > :day
ORDER BY t.customer_id;
