-- The headers of the asked cycles whose revision is not in the backup table yet.
-- reads:  totals_pair, total_usage_new_table, total_usage_new_backup_table
-- params: none
-- yields: customer_id, cycle_start_date, cycle_end_date, revision, method, rate_plan,
--         rate_plan_version, currency, total_cost_micros, provider_cost_micros,
--         cdr_count, unrated_count, content_sha256
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date,
    t.revision,
    t.method,
    t.rate_plan,
    t.rate_plan_version,
    t.currency,
    t.total_cost_micros,
    t.provider_cost_micros,
    t.cdr_count,
    t.unrated_count,
    t.content_sha256
FROM totals_pair AS p
INNER JOIN total_usage_new_table AS t
    ON
        p.customer_id = t.customer_id
        AND p.cycle_start_date = t.cycle_start_date
LEFT JOIN total_usage_new_backup_table AS b
    ON
        t.customer_id = b.customer_id
        AND t.cycle_start_date = b.cycle_start_date
        AND t.revision = b.revision
WHERE b.id IS NULL
ORDER BY t.customer_id, t.cycle_start_date;
