-- The lines of the totals of a page of customers.
-- reads:  total_usage_line
-- params: customer_ids, since, until (half-open bounds of the cycle's start)
-- yields: customer_id, cycle_start_date, usage_type, zone, cdr_count, duration_s,
--         volume_bytes, events, cost_micros
SELECT
    customer_id,
    cycle_start_date,
    usage_type,
    zone,
    cdr_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
FROM total_usage_line
WHERE
    customer_id IN :customer_ids
    AND cycle_start_date >= :since
    AND cycle_start_date < :until
ORDER BY customer_id, cycle_start_date, line_no;
