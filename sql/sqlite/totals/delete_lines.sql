-- Remove the lines of the asked cycles, before the new ones are loaded.
-- reads:  totals_pair
-- writes: total_usage_line
-- params: none
DELETE FROM total_usage_line
WHERE
    (customer_id, cycle_start_date) IN (
        SELECT
            customer_id,
            cycle_start_date
        FROM totals_pair
    );
