-- Remove why usage of the asked cycles has no price, before the new rows are loaded.
-- reads:  totals_pair
-- writes: total_unrated_reason
-- params: none
DELETE r
FROM totals_pair AS p
STRAIGHT_JOIN total_unrated_reason AS r
    ON
        p.customer_id = r.customer_id
        AND p.cycle_start_date = r.cycle_start_date;
