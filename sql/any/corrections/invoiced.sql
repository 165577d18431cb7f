-- Whether there is a provider invoice of an import, and whose it is.
-- reads:  provider_invoice
-- params: import_id
-- yields: import_id, provider
SELECT
    import_id,
    provider
FROM provider_invoice
WHERE import_id = :import_id;
