-- Totals of some customers' cycles that began within a stretch of days.
-- reads:  total_usage_new_table
-- params: customer_ids, since, before (half-open)
-- yields: customer_id, cycle_start_date, currency, total_cost_micros, cdr_count
SELECT
    customer_id,
    cycle_start_date,
    currency,
    total_cost_micros,
    cdr_count
FROM total_usage_new_table
WHERE
    customer_id IN :customer_ids
    AND cycle_start_date >= :since
    AND cycle_start_date < :before
ORDER BY customer_id, cycle_start_date;
