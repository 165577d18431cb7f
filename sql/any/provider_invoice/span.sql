-- Over which days the records of an import lie, and whether it is complete.
-- reads:  import_queue
-- params: import_id
-- yields: provider, complete, loaded, cost_micros, first_call_date, last_call_date
SELECT
    provider,
    complete,
    loaded,
    cost_micros,
    first_call_date,
    last_call_date
FROM import_queue
WHERE id = :import_id;
