-- Totals written more than ten minutes ago whose revision is not in the backup table yet.
-- reads:  total_usage_new_table, total_usage_new_backup_table
-- params: none
-- yields: late_count
SELECT count(*) AS late_count
FROM total_usage_new_table AS t
LEFT JOIN total_usage_new_backup_table AS b
    ON
        t.customer_id = b.customer_id
        AND t.cycle_start_date = b.cycle_start_date
        AND t.revision = b.revision
WHERE
    b.id IS NULL
    AND t.updated_at < strftime('%Y-%m-%d %H:%M:%f', 'now', '-10 minutes');
