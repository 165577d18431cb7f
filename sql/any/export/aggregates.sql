-- What is kept of a customer's records that were removed after their term.
-- reads:  retained_aggregate
-- params: customer_id
-- yields: cycle_start_date, kind, import_id, usage_type, zone, record_count, duration_s,
--         volume_bytes, events, cost_micros
SELECT
    cycle_start_date,
    kind,
    import_id,
    usage_type,
    zone,
    record_count,
    duration_s,
    volume_bytes,
    events,
    cost_micros
FROM retained_aggregate
WHERE customer_id = :customer_id
ORDER BY cycle_start_date, kind, import_id, usage_type, zone;
