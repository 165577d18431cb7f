-- The records that records of the picked keys had replaced, as they were.
-- reads:  moved_key, superseded_record
-- params: import_id (the import that replaced them)
-- yields: id, customer_id, call_date, import_id, member, line_no, provider, layout, record_id,
--         account, contract, subscriber, other_kind, other, other_class, direction,
--         usage_type, started_at_utc, duration_s, volume_bytes, events, cost_micros,
--         currency, rate_class, zone, roaming_country, plmn, product, bundle, invoice_no,
--         part_group, part_no, part_state, correction_of, flags, fingerprint
SELECT
    s.id,
    s.customer_id,
    s.call_date,
    s.import_id,
    s.member,
    s.line_no,
    s.provider,
    s.layout,
    s.record_id,
    s.account,
    s.contract,
    s.subscriber,
    s.other_kind,
    s.other,
    s.other_class,
    s.direction,
    s.usage_type,
    s.started_at_utc,
    s.duration_s,
    s.volume_bytes,
    s.events,
    s.cost_micros,
    s.currency,
    s.rate_class,
    s.zone,
    s.roaming_country,
    s.plmn,
    s.product,
    s.bundle,
    s.invoice_no,
    s.part_group,
    s.part_no,
    s.part_state,
    s.correction_of,
    s.flags,
    s.fingerprint
FROM superseded_record AS s
INNER JOIN moved_key AS k ON s.fingerprint = k.fingerprint
WHERE s.superseded_by_import_id = :import_id
ORDER BY s.customer_id, s.call_date, s.fingerprint;
