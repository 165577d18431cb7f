-- Totals written in the last hour, the newest first.
-- reads:  total_usage_new_table
-- params: limit_rows
-- yields: customer_id, cycle_start_date, total_cost, revision, updated_at
SELECT
    customer_id,
    cycle_start_date,
    total_cost,
    revision,
    updated_at
FROM total_usage_new_table
WHERE updated_at > CURRENT_TIMESTAMP(6) - INTERVAL 1 HOUR
ORDER BY updated_at DESC, customer_id ASC, cycle_start_date ASC
LIMIT :limit_rows;
