-- What is stored of one cycle now, beside what its totals count; of incomplete imports too.
-- reads:  total_usage_new_table, call_detail_record, dirty_cycle
-- params: customer_id, cycle_start_date
-- yields: cdr_count, provider_cost_micros, record_count, cost_micros, dirty_count
SELECT
    t.cdr_count,
    t.provider_cost_micros,
    (
        SELECT count(*)
        FROM call_detail_record AS r
        WHERE
            r.customer_id = t.customer_id
            AND r.call_date >= t.cycle_start_date
            AND r.call_date < t.cycle_end_date
    ) AS record_count,
    (
        SELECT coalesce(sum(r.cost_micros), 0)
        FROM call_detail_record AS r
        WHERE
            r.customer_id = t.customer_id
            AND r.call_date >= t.cycle_start_date
            AND r.call_date < t.cycle_end_date
    ) AS cost_micros,
    (
        SELECT count(*)
        FROM dirty_cycle AS d
        WHERE
            d.customer_id = t.customer_id
            AND d.cycle_start_date = t.cycle_start_date
    ) AS dirty_count
FROM total_usage_new_table AS t
WHERE
    t.customer_id = :customer_id
    AND t.cycle_start_date = :cycle_start_date;
