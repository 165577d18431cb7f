-- Remove the superseded records of one cycle; what they add up to was kept before.
-- writes: superseded_record
-- params: customer_id, cycle_start_date, cycle_end_date
DELETE FROM superseded_record
WHERE
    customer_id = :customer_id
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date;
