-- Remove what the allowances of each line gave in one cycle; one-off ones stay.
-- writes: total_allowance
-- params: customer_id, cycle_start_date
DELETE FROM total_allowance
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
    AND subscriber <> ''
    AND is_once = 0;
