-- Which cycles of some customers an import touched, and with how many records.
-- reads:  import_cycle
-- params: import_id, customer_ids
-- yields: customer_id, cycle_start_date, cycle_end_date, record_count, cost_micros
SELECT
    customer_id,
    cycle_start_date,
    cycle_end_date,
    record_count,
    cost_micros
FROM import_cycle
WHERE
    import_id = :import_id
    AND customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date;
