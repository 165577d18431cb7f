-- Every revision of one cycle that is in the backup table, the oldest first. The
-- word lines is reserved on MySQL, which is why every column is named with its table.
-- reads:  total_usage_new_backup_table
-- params: customer_id, cycle_start_date
-- yields: customer_id, cycle_start_date, cycle_end_date, revision, method, rate_plan,
--         rate_plan_version, currency, total_cost_micros, provider_cost_micros,
--         cdr_count, unrated_count, content_sha256, lines, backed_up_at
SELECT
    b.customer_id,
    b.cycle_start_date,
    b.cycle_end_date,
    b.revision,
    b.method,
    b.rate_plan,
    b.rate_plan_version,
    b.currency,
    b.total_cost_micros,
    b.provider_cost_micros,
    b.cdr_count,
    b.unrated_count,
    b.content_sha256,
    b.lines,
    b.backed_up_at
FROM total_usage_new_backup_table AS b
WHERE
    b.customer_id = :customer_id
    AND b.cycle_start_date = :cycle_start_date
ORDER BY b.revision;
