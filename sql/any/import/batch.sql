-- One batch of an import, when it is in the ledger.
-- reads:  import_batch
-- params: import_id, batch_no
-- yields: record_count
SELECT record_count
FROM import_batch
WHERE
    import_id = :import_id
    AND batch_no = :batch_no;
