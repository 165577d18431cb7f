-- Cycles whose current revision is not in the backup table yet.
-- reads:  total_usage_new_table, total_usage_new_backup_table
-- params: none
-- yields: customer_id, cycle_start_date, cycle_end_date
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date
FROM total_usage_new_table AS t
LEFT JOIN total_usage_new_backup_table AS b
    ON
        t.customer_id = b.customer_id
        AND t.cycle_start_date = b.cycle_start_date
        AND t.revision = b.revision
WHERE b.id IS NULL
ORDER BY t.customer_id, t.cycle_start_date;
