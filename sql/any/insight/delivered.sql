-- Of how many customers the complete deliveries of each provider touched a cycle; feeds
-- that were switched off are left out.
-- reads:  import_cycle, import_queue, sync_profile
-- params: since (cycles that end from this day on)
-- yields: provider, cycle_start_date, cycle_end_date, customers
SELECT
    q.provider,
    c.cycle_start_date,
    c.cycle_end_date,
    count(DISTINCT c.customer_id) AS customers
FROM import_cycle AS c
INNER JOIN import_queue AS q ON c.import_id = q.id
LEFT JOIN sync_profile AS p ON q.provider = p.provider
WHERE
    q.complete = 1
    AND coalesce(p.enabled, 1) = 1
    AND c.cycle_end_date >= :since
GROUP BY q.provider, c.cycle_start_date, c.cycle_end_date
ORDER BY q.provider, c.cycle_start_date, c.cycle_end_date;
