-- The totals of one cycle as an invoice needs them.
-- reads:  total_usage_new_table
-- params: customer_id, cycle_start_date
-- yields: revision, method, rate_plan, rate_plan_version, currency, cdr_count,
--         unrated_count, content_sha256
SELECT
    revision,
    method,
    rate_plan,
    rate_plan_version,
    currency,
    cdr_count,
    unrated_count,
    content_sha256
FROM total_usage_new_table
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date;
