-- Remove what the allowances of the asked cycles gave, before the new rows are loaded.
-- reads:  totals_pair
-- writes: total_allowance
-- params: none
DELETE a
FROM totals_pair AS p
STRAIGHT_JOIN total_allowance AS a
    ON
        p.customer_id = a.customer_id
        AND p.cycle_start_date = a.cycle_start_date;
