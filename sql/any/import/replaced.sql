-- The records that an import has replaced so far.
-- reads:  superseded_record
-- params: import_id
-- yields: customer_id, call_date, fingerprint
SELECT
    customer_id,
    call_date,
    fingerprint
FROM superseded_record
WHERE superseded_by_import_id = :import_id
ORDER BY customer_id, call_date, fingerprint;
