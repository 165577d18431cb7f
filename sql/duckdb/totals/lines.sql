-- The lines of every asked cycle, numbered from 1 by usage type and zone.
-- reads:  usage
-- params: none
-- yields: customer_id, cycle_start_date, line_no, usage_type, zone, cdr_count,
--         unrated_count, duration_s, volume_bytes, events, cost_micros
SELECT
    customer_id,
    cycle_start_date,
    row_number() OVER (
        PARTITION BY customer_id, cycle_start_date
        ORDER BY usage_type, zone
    ) AS line_no,
    usage_type,
    zone,
    sum(cdr_count)::bigint AS cdr_count,
    sum(unrated_count)::bigint AS unrated_count,
    sum(duration_s)::bigint AS duration_s,
    sum(volume_bytes)::bigint AS volume_bytes,
    sum(events)::bigint AS events,
    sum(cost_micros)::bigint AS cost_micros
FROM usage
GROUP BY customer_id, cycle_start_date, usage_type, zone
ORDER BY customer_id, cycle_start_date, line_no;
