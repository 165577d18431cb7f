-- Remove the insights of one cycle that name lines: their calls are removed as well.
-- writes: billing_insight
-- params: customer_id, cycle_start_date
DELETE FROM billing_insight
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
    AND kind IN ('call_burst', 'allowance_nearly_used');
