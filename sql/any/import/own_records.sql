-- What an import stored of a page of customers over a stretch of time.
-- reads:  call_detail_record
-- params: import_id, customer_ids, from_date, to_date
-- yields: customer_id, call_date, member, line_no, cost_micros
SELECT
    customer_id,
    call_date,
    member,
    line_no,
    cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :from_date
    AND call_date < :to_date
    AND import_id = :import_id;
