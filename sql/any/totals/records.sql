-- What totals need of the records of a page of customers in one cycle, half-open.
-- reads:  call_detail_record
-- params: customer_ids, cycle_start_date, cycle_end_date, unready_ids
-- yields: customer_id, call_date, usage_type, zone, duration_s, volume_bytes, events,
--         cost_micros
SELECT
    customer_id,
    call_date,
    usage_type,
    zone,
    duration_s,
    volume_bytes,
    events,
    cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date
    AND import_id NOT IN :unready_ids;
