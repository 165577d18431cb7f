-- The complete imports that brought records of one cycle, in the order they were finished.
-- reads:  import_cycle, import_queue
-- params: customer_id, cycle_start_date
-- yields: import_id, file_name, record_count, finished_at
SELECT
    q.id AS import_id,
    q.file_name,
    c.record_count,
    coalesce(q.finished_at, q.updated_at) AS finished_at
FROM import_cycle AS c
INNER JOIN import_queue AS q ON c.import_id = q.id
WHERE
    c.customer_id = :customer_id
    AND c.cycle_start_date = :cycle_start_date
    AND q.complete = 1
ORDER BY finished_at, q.id;
