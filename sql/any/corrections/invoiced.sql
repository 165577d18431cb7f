-- Whether there is a provider invoice of an import.
-- reads:  provider_invoice
-- params: import_id
-- yields: import_id
SELECT import_id
FROM provider_invoice
WHERE import_id = :import_id;
