-- Remove the call records of one cycle; what they add up to was kept before.
-- writes: call_detail_record
-- params: customer_id, cycle_start_date, cycle_end_date
DELETE FROM call_detail_record
WHERE
    customer_id = :customer_id
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date;
