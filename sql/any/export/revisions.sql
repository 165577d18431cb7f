-- Every revision that was ever written of a customer's totals.
-- reads:  total_usage_new_backup_table
-- params: customer_id
-- yields: cycle_start_date, revision, method, currency, total_cost_micros, cdr_count,
--         backed_up_at
SELECT
    cycle_start_date,
    revision,
    method,
    currency,
    total_cost_micros,
    cdr_count,
    backed_up_at
FROM total_usage_new_backup_table
WHERE customer_id = :customer_id
ORDER BY cycle_start_date, revision;
