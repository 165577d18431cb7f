-- Take the replaced record out of the records that count.
-- writes: call_detail_record
-- params: customer_id, call_date, fingerprint
DELETE FROM call_detail_record
WHERE
    customer_id = :customer_id
    AND call_date = :call_date
    AND fingerprint = :fingerprint;
