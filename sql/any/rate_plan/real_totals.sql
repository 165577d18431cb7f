-- What cycles of some customers cost as they are now.
-- reads:  total_usage_new_table
-- params: customer_ids
-- yields: customer_id, cycle_start_date, total_cost_micros, provider_cost_micros
SELECT
    customer_id,
    cycle_start_date,
    total_cost_micros,
    provider_cost_micros
FROM total_usage_new_table
WHERE customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
