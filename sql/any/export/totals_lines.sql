-- The lines of a customer's totals.
-- reads:  total_usage_line
-- params: customer_id
-- yields: cycle_start_date, line_no, usage_type, zone, cdr_count, duration_s,
--         volume_bytes, events, cost_micros
SELECT
    cycle_start_date,
    line_no,
    usage_type,
    zone,
    cdr_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
FROM total_usage_line
WHERE customer_id = :customer_id
ORDER BY cycle_start_date, line_no;
