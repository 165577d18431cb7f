-- Take the records of the picked keys out of the records that count.
-- reads:  moved_key
-- writes: call_detail_record
-- params: none
DELETE r
FROM moved_key AS k
STRAIGHT_JOIN call_detail_record AS r
    ON
        k.customer_id = r.customer_id
        AND k.call_date = r.call_date
        AND k.fingerprint = r.fingerprint;
