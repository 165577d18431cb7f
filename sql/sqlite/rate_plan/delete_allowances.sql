-- Remove what the allowances of the asked cycles gave, before the new rows are loaded.
-- reads:  totals_pair
-- writes: total_allowance
-- params: none
DELETE FROM total_allowance
WHERE
    (customer_id, cycle_start_date) IN (
        SELECT
            customer_id,
            cycle_start_date
        FROM totals_pair
    );
