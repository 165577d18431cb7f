-- Make room for the lines of a provider invoice.
-- writes: provider_invoice_line
-- params: import_id
DELETE FROM provider_invoice_line
WHERE import_id = :import_id;
