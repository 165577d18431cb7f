-- Which providers' complete deliveries touched which cycles since a day.
-- reads:  import_cycle, import_queue
-- params: since
-- yields: provider, customer_id, cycle_start_date, cycle_end_date
SELECT DISTINCT
    q.provider,
    c.customer_id,
    c.cycle_start_date,
    c.cycle_end_date
FROM import_cycle AS c
INNER JOIN import_queue AS q ON c.import_id = q.id
WHERE
    q.complete = 1
    AND c.cycle_end_date >= :since
ORDER BY q.provider, c.customer_id, c.cycle_start_date;
