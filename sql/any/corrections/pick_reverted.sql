-- The next page of an import's records, of some customers over a stretch of time.
-- reads:  call_detail_record
-- writes: moved_key
-- params: import_id, customer_ids, from_date, to_date, limit_rows
INSERT INTO moved_key (fingerprint, customer_id, call_date)
SELECT
    fingerprint,
    customer_id,
    call_date
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :from_date
    AND call_date < :to_date
    AND import_id = :import_id
ORDER BY customer_id, call_date, fingerprint
LIMIT :limit_rows;
