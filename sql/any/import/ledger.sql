-- What the ledger of an import proves to be stored.
-- reads:  import_batch
-- params: import_id
-- yields: last_batch_no, record_count, cost_micros
SELECT
    coalesce(max(batch_no), 0) AS last_batch_no,
    coalesce(sum(record_count), 0) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros
FROM import_batch
WHERE import_id = :import_id;
