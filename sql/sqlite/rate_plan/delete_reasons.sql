-- Remove why usage of the asked cycles has no price, before the new rows are loaded.
-- reads:  totals_pair
-- writes: total_unrated_reason
-- params: none
DELETE FROM total_unrated_reason
WHERE
    (customer_id, cycle_start_date) IN (
        SELECT
            customer_id,
            cycle_start_date
        FROM totals_pair
    );
