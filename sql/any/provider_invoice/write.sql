-- What a provider charges for one import.
-- writes: provider_invoice
-- params: import_id, provider, currency, record_count, unrated_count, cost_micros
INSERT INTO provider_invoice (
    import_id, provider, currency, record_count, unrated_count, cost_micros
)
VALUES (
    :import_id, :provider, :currency, :record_count, :unrated_count, :cost_micros
);
