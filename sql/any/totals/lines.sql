-- The lines of one cycle as they are now.
-- reads:  total_usage_line
-- params: customer_id, cycle_start_date
-- yields: customer_id, cycle_start_date, line_no, usage_type, zone, cdr_count,
--         unrated_count, duration_s, volume_bytes, events, cost_micros
SELECT
    customer_id,
    cycle_start_date,
    line_no,
    usage_type,
    zone,
    cdr_count,
    unrated_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
FROM total_usage_line
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
ORDER BY line_no;
