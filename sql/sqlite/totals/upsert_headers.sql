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
WHERE TRUE
ON CONFLICT (customer_id, cycle_start_date) DO UPDATE
SET
    cycle_end_date = excluded.cycle_end_date,
    revision = excluded.revision,
    method = excluded.method,
    rate_plan = excluded.rate_plan,
    rate_plan_version = excluded.rate_plan_version,
    currency = excluded.currency,
    total_cost_micros = excluded.total_cost_micros,
    provider_cost_micros = excluded.provider_cost_micros,
    cdr_count = excluded.cdr_count,
    unrated_count = excluded.unrated_count,
    content_sha256 = excluded.content_sha256,
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now');
