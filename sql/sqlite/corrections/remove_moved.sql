-- Take the records of the picked keys out of the records that count.
-- reads:  moved_key
-- writes: call_detail_record
-- params: none
DELETE FROM call_detail_record
WHERE
    (customer_id, call_date, fingerprint) IN (
        SELECT
            customer_id,
            call_date,
            fingerprint
        FROM moved_key
    );
