-- Remove the lines of the asked cycles, before the new ones are loaded.
-- reads:  totals_pair
-- writes: total_usage_line
-- params: none
DELETE l
FROM totals_pair AS p
STRAIGHT_JOIN total_usage_line AS l
    ON
        p.customer_id = l.customer_id
        AND p.cycle_start_date = l.cycle_start_date;
