-- Cycles of a page of customers whose records changed since their totals.
-- reads:  dirty_cycle
-- params: customer_ids
-- yields: customer_id, cycle_start_date
SELECT
    customer_id,
    cycle_start_date
FROM dirty_cycle
WHERE customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
