-- What one frame of records adds to the lines of the asked cycles.
-- reads:  records, pairs
-- writes: usage
-- params: none
INSERT INTO usage (
    customer_id,
    cycle_start_date,
    usage_type,
    zone,
    cdr_count,
    unrated_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
)
SELECT
    p.customer_id,
    p.cycle_start_date,
    r.usage_type,
    coalesce(r.zone, '') AS zone,
    count(*) AS cdr_count,
    count(*) - count(r.cost_micros) AS unrated_count,
    coalesce(sum(r.duration_s), 0) AS duration_s,
    coalesce(sum(r.volume_bytes), 0) AS volume_bytes,
    coalesce(sum(r.events), 0) AS events,
    coalesce(sum(r.cost_micros), 0) AS cost_micros
FROM records AS r
INNER JOIN pairs AS p
    ON
        r.customer_id = p.customer_id
        AND r.call_date >= p.cycle_start_date
        AND r.call_date < p.cycle_end_date
GROUP BY p.customer_id, p.cycle_start_date, r.usage_type, coalesce(r.zone, '');
