-- Keep what the superseded records of one cycle add up to, by import, usage type and zone.
-- reads:  superseded_record
-- writes: retained_aggregate
-- params: customer_id, cycle_start_date, cycle_end_date
INSERT INTO retained_aggregate (
    import_id,
    kind,
    customer_id,
    cycle_start_date,
    usage_type,
    zone,
    record_count,
    unrated_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
)
SELECT
    r.import_id,
    'superseded' AS kind,
    r.customer_id,
    :cycle_start_date AS cycle_start_date,
    r.usage_type,
    coalesce(r.zone, '') AS zone,
    count(*) AS record_count,
    sum(CASE WHEN r.cost_micros IS NULL THEN 1 ELSE 0 END) AS unrated_count,
    coalesce(sum(r.duration_s), 0) AS duration_s,
    coalesce(sum(r.volume_bytes), 0) AS volume_bytes,
    coalesce(sum(r.events), 0) AS events,
    coalesce(sum(r.cost_micros), 0) AS cost_micros
FROM superseded_record AS r
WHERE
    r.customer_id = :customer_id
    AND r.call_date >= :cycle_start_date
    AND r.call_date < :cycle_end_date
GROUP BY r.import_id, r.customer_id, r.usage_type, coalesce(r.zone, '');
