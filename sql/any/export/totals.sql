-- The totals of a customer, by cycle.
-- reads:  total_usage_new_table
-- params: customer_id
-- yields: cycle_start_date, cycle_end_date, revision, method, rate_plan, currency,
--         total_cost_micros, provider_cost_micros, cdr_count, unrated_count
SELECT
    cycle_start_date,
    cycle_end_date,
    revision,
    method,
    rate_plan,
    currency,
    total_cost_micros,
    provider_cost_micros,
    cdr_count,
    unrated_count
FROM total_usage_new_table
WHERE customer_id = :customer_id
ORDER BY cycle_start_date;
