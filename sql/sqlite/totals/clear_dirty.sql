-- Clear the marks that were seen before the records were read, and only those.
-- reads:  totals_pair
-- writes: dirty_cycle
-- params: none
DELETE FROM dirty_cycle
WHERE
    (customer_id, cycle_start_date, mark) IN (
        SELECT
            customer_id,
            cycle_start_date,
            mark
        FROM totals_pair
    );
