-- How many records of one cycle, half-open, each complete import brought, by what they are.
-- reads:  call_detail_record, import_queue
-- params: customer_id, cycle_start_date, cycle_end_date
-- yields: usage_type, zone, roaming_country, import_id, came_at, record_count
SELECT
    r.usage_type,
    r.zone,
    r.roaming_country,
    r.import_id,
    max(coalesce(q.finished_at, q.updated_at)) AS came_at,
    count(*) AS record_count
FROM call_detail_record AS r
INNER JOIN import_queue AS q ON r.import_id = q.id
WHERE
    r.customer_id = :customer_id
    AND r.call_date >= :cycle_start_date
    AND r.call_date < :cycle_end_date
    AND q.complete = 1
GROUP BY r.usage_type, r.zone, r.roaming_country, r.import_id
ORDER BY r.import_id, r.usage_type, r.zone, r.roaming_country;
