-- Cycles that ended by a day, have totals, wait for none, and whose records are kept whole.
-- reads:  total_usage_new_table, dirty_cycle, call_detail_record
-- params: ended_by
-- yields: customer_id, cycle_start_date, cycle_end_date, cdr_count
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date,
    t.cdr_count
FROM total_usage_new_table AS t
WHERE
    t.cycle_end_date <= :ended_by
    AND NOT EXISTS (
        SELECT 1
        FROM dirty_cycle AS d
        WHERE
            d.customer_id = t.customer_id
            AND d.cycle_start_date = t.cycle_start_date
    )
    AND EXISTS (
        SELECT 1
        FROM call_detail_record AS r
        WHERE
            r.customer_id = t.customer_id
            AND r.call_date >= t.cycle_start_date
            AND r.call_date < t.cycle_end_date
    )
ORDER BY t.customer_id, t.cycle_start_date;
