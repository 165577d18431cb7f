-- What a provider charges for one import, as it was worked out.
-- reads:  provider_invoice
-- params: import_id
-- yields: provider, currency, record_count, cost_micros
SELECT
    provider,
    currency,
    record_count,
    cost_micros
FROM provider_invoice
WHERE import_id = :import_id;
