-- The cycles that cost the most.
-- reads:  total_usage_new_table
-- params: most
-- yields: id, customer_id, cycle_start_date, cycle_end_date, revision, method, rate_plan,
--         rate_plan_version, currency, total_cost_micros, provider_cost_micros, cdr_count,
--         unrated_count, content_sha256, created_at, updated_at
SELECT
    id,
    customer_id,
    cycle_start_date,
    cycle_end_date,
    revision,
    method,
    rate_plan,
    rate_plan_version,
    currency,
    total_cost_micros,
    provider_cost_micros,
    cdr_count,
    unrated_count,
    content_sha256,
    created_at,
    updated_at
FROM total_usage_new_table
ORDER BY total_cost_micros DESC, customer_id ASC, cycle_start_date ASC
LIMIT :most;
