-- The stored records of the wanted keys, with what the provider said of each.
-- reads:  wanted_key, call_detail_record
-- params: none
-- yields: customer_id, call_date, fingerprint, import_id and every content column
SELECT
    r.customer_id,
    r.call_date,
    r.fingerprint,
    r.import_id,
    r.record_id,
    r.account,
    r.contract,
    r.subscriber,
    r.other_kind,
    r.other,
    r.other_class,
    r.direction,
    r.usage_type,
    r.started_at_utc,
    r.duration_s,
    r.volume_bytes,
    r.events,
    r.cost_micros,
    r.currency,
    r.rate_class,
    r.zone,
    r.roaming_country,
    r.plmn,
    r.product,
    r.bundle,
    r.invoice_no,
    r.part_group,
    r.part_no,
    r.part_state,
    r.correction_of
FROM wanted_key AS w
INNER JOIN call_detail_record AS r
    ON
        w.customer_id = r.customer_id
        AND w.call_date = r.call_date
        AND w.fingerprint = r.fingerprint
ORDER BY r.customer_id, r.call_date, r.fingerprint;
