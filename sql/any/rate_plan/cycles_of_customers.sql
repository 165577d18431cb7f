-- The cycles of some customers that have totals.
-- reads:  total_usage_new_table
-- params: customer_ids
-- yields: customer_id, cycle_start_date, cycle_end_date
SELECT
    customer_id,
    cycle_start_date,
    cycle_end_date
FROM total_usage_new_table
WHERE customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
