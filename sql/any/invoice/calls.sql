-- The records of one customer's cycle that an invoice specifies, in the order of time.
-- reads:  call_detail_record, import_queue
-- params: customer_id, cycle_start_date, cycle_end_date
-- yields: call_date, usage_type, direction, subscriber, other, zone, duration_s,
--         volume_bytes, events, cost_micros
SELECT
    r.call_date,
    r.usage_type,
    r.direction,
    r.subscriber,
    r.other,
    r.zone,
    r.duration_s,
    r.volume_bytes,
    r.events,
    r.cost_micros
FROM call_detail_record AS r
INNER JOIN import_queue AS q ON r.import_id = q.id
WHERE
    r.customer_id = :customer_id
    AND r.call_date >= :cycle_start_date
    AND r.call_date < :cycle_end_date
    AND q.complete = 1
ORDER BY r.call_date, r.fingerprint;
