-- Write the headers; one that exists keeps its id, and its revision goes up.
-- reads:  totals_swap
-- writes: total_usage_new_table
-- params: none
INSERT INTO total_usage_new_table (
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
    content_sha256
)
SELECT
    s.customer_id,
    s.cycle_start_date,
    s.cycle_end_date,
    s.revision,
    s.method,
    s.rate_plan,
    s.rate_plan_version,
    s.currency,
    s.total_cost_micros,
    s.provider_cost_micros,
    s.cdr_count,
    s.unrated_count,
    s.content_sha256
FROM totals_swap AS s
ON DUPLICATE KEY UPDATE
    cycle_end_date = s.cycle_end_date,
    revision = s.revision,
    method = s.method,
    rate_plan = s.rate_plan,
    rate_plan_version = s.rate_plan_version,
    currency = s.currency,
    total_cost_micros = s.total_cost_micros,
    provider_cost_micros = s.provider_cost_micros,
    cdr_count = s.cdr_count,
    unrated_count = s.unrated_count,
    content_sha256 = s.content_sha256,
    updated_at = current_timestamp(6);
