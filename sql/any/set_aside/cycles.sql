-- The cycles an import touched, and what it added to each.
-- reads:  import_cycle
-- params: import_id
-- yields: customer_id, cycle_start_date, cycle_end_date, record_count, cost_micros
SELECT
    customer_id,
    cycle_start_date,
    cycle_end_date,
    record_count,
    cost_micros
FROM import_cycle
WHERE import_id = :import_id
ORDER BY customer_id, cycle_start_date;
