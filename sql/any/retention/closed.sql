-- Cycles whose records were removed after their term: nothing can be computed of them.
-- reads:  retained_aggregate
-- params: none
-- yields: customer_id, cycle_start_date
SELECT DISTINCT
    customer_id,
    cycle_start_date
FROM retained_aggregate
WHERE kind = 'call'
ORDER BY customer_id, cycle_start_date;
