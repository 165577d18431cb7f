-- The lines stored now of the asked cycles.
-- reads:  totals_pair, total_usage_line
-- params: none
-- yields: customer_id, cycle_start_date, line_no, usage_type, zone, cdr_count,
--         unrated_count, duration_s, volume_bytes, events, cost_micros
SELECT
    l.customer_id,
    l.cycle_start_date,
    l.line_no,
    l.usage_type,
    l.zone,
    l.cdr_count,
    l.unrated_count,
    l.duration_s,
    l.volume_bytes,
    l.events,
    l.cost_micros
FROM totals_pair AS p
INNER JOIN total_usage_line AS l
    ON
        p.customer_id = l.customer_id
        AND p.cycle_start_date = l.cycle_start_date
ORDER BY l.customer_id, l.cycle_start_date, l.line_no;
