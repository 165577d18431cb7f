-- The revisions of the totals of a page of customers; the write transaction keeps them as they are.
-- reads:  total_usage_new_table
-- params: customer_ids
-- yields: customer_id, cycle_start_date, revision
SELECT
    customer_id,
    cycle_start_date,
    revision
FROM total_usage_new_table
WHERE customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
