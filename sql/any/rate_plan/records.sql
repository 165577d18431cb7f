-- What rating needs of the records of a page of customers in one cycle, half-open. Whole
-- customers follow each other: this is the order of the clustered key.
-- reads:  call_detail_record
-- params: customer_ids, cycle_start_date, cycle_end_date, unready_ids
-- yields: customer_id, call_date, started_at_utc, subscriber, usage_type, direction, other,
--         zone, roaming_country, duration_s, volume_bytes, events, cost_micros, part_state,
--         fingerprint
SELECT
    customer_id,
    call_date,
    started_at_utc,
    subscriber,
    usage_type,
    direction,
    other,
    zone,
    roaming_country,
    duration_s,
    volume_bytes,
    events,
    cost_micros,
    part_state,
    fingerprint
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date
    AND import_id NOT IN :unready_ids
ORDER BY customer_id, call_date, fingerprint;
