-- Fingerprints already stored for a provider, of a page of customers over a stretch of time.
-- reads:  call_detail_record
-- params: provider, customer_ids, from_date, to_date
-- yields: fingerprint
SELECT fingerprint
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :from_date
    AND call_date < :to_date
    AND provider = :provider;
