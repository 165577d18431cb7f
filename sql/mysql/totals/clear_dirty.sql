-- Clear the marks that were seen before the records were read, and only those.
-- reads:  totals_pair
-- writes: dirty_cycle
-- params: none
DELETE d
FROM totals_pair AS p
STRAIGHT_JOIN dirty_cycle AS d
    ON
        p.customer_id = d.customer_id
        AND p.cycle_start_date = d.cycle_start_date
        AND p.mark = d.mark;
