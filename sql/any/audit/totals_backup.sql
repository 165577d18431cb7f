-- Totals whose revisions are not all in the backup, or whose newest one differs there.
-- reads:  total_usage_new_table, total_usage_new_backup_table
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    t.id AS subject,
    t.revision AS expected_count,
    count(b.id) AS found_count,
    t.total_cost_micros AS expected_micros,
    coalesce(
        sum(CASE WHEN b.revision = t.revision THEN b.total_cost_micros ELSE 0 END), 0
    ) AS found_micros
FROM total_usage_new_table AS t
LEFT JOIN total_usage_new_backup_table AS b
    ON
        t.customer_id = b.customer_id
        AND t.cycle_start_date = b.cycle_start_date
GROUP BY t.id, t.revision, t.total_cost_micros
HAVING
    t.revision <> count(b.id)
    OR t.total_cost_micros
    <> coalesce(
        sum(CASE WHEN b.revision = t.revision THEN b.total_cost_micros ELSE 0 END), 0
    )
ORDER BY t.id;
