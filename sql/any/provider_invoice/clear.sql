-- Make room for a provider invoice.
-- writes: provider_invoice
-- params: import_id
DELETE FROM provider_invoice
WHERE import_id = :import_id;
