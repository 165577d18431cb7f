-- The header of one cycle as it is now.
-- reads:  total_usage_new_table
-- params: customer_id, cycle_start_date
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
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date;
