-- Forget the ledger of an import of which nothing is stored.
-- writes: import_batch
-- params: import_id
DELETE FROM import_batch
WHERE import_id = :import_id;
