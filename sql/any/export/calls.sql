-- Every record of a customer.
-- reads:  call_detail_record
-- params: customer_id
-- yields: call_date, import_id, member, line_no, provider, layout, record_id, account,
--         contract, subscriber, other_kind, other, other_class, direction, usage_type,
--         started_at_utc, duration_s, volume_bytes, events, cost_micros, currency,
--         rate_class, zone, roaming_country, plmn, product, bundle, invoice_no,
--         part_group, part_no, part_state, correction_of, flags, fingerprint
SELECT
    call_date,
    import_id,
    member,
    line_no,
    provider,
    layout,
    record_id,
    account,
    contract,
    subscriber,
    other_kind,
    other,
    other_class,
    direction,
    usage_type,
    started_at_utc,
    duration_s,
    volume_bytes,
    events,
    cost_micros,
    currency,
    rate_class,
    zone,
    roaming_country,
    plmn,
    product,
    bundle,
    invoice_no,
    part_group,
    part_no,
    part_state,
    correction_of,
    flags,
    fingerprint
FROM call_detail_record
WHERE customer_id = :customer_id
ORDER BY call_date, fingerprint;
