-- Forget that some customers' cycle was looked at.
-- writes: insight_look
-- params: customer_ids, cycle_start_date, part
DELETE FROM insight_look
WHERE
    customer_id IN :customer_ids
    AND cycle_start_date = :cycle_start_date
    AND part = :part;
