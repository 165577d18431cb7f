-- By which rate plan, in which version, the revisions of a page of customers were made.
-- reads:  total_usage_new_table, total_usage_new_backup_table
-- params: customer_ids
-- yields: customer_id, cycle_start_date, revision, rate_plan, rate_plan_version
SELECT
    customer_id,
    cycle_start_date,
    revision,
    rate_plan,
    rate_plan_version
FROM total_usage_new_table
WHERE
    customer_id IN :customer_ids
    AND rate_plan IS NOT NULL
UNION ALL
SELECT
    customer_id,
    cycle_start_date,
    revision,
    rate_plan,
    rate_plan_version
FROM total_usage_new_backup_table
WHERE
    customer_id IN :customer_ids
    AND rate_plan IS NOT NULL
ORDER BY customer_id, cycle_start_date, revision;
