-- Whether what the provider charges for an import was worked out.
-- reads:  provider_invoice
-- params: import_id
-- yields: import_id
SELECT import_id
FROM provider_invoice
WHERE import_id = :import_id;
