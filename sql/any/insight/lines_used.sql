-- The lines of some customers that were used within a stretch of days.
-- reads:  call_detail_record
-- params: customer_ids, since, before (half-open), unready_ids
-- yields: customer_id, subscriber
SELECT DISTINCT
    customer_id,
    subscriber
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :since
    AND call_date < :before
    AND import_id NOT IN :unready_ids
ORDER BY customer_id, subscriber;
