-- Records of a customer that a later delivery replaced.
-- reads:  superseded_record
-- params: customer_id
-- yields: superseded_by_import_id, superseded_at, call_date, import_id, member, line_no,
--         provider, layout, record_id, account, contract, subscriber, other_kind, other,
--         other_class, direction, usage_type, started_at_utc, duration_s, volume_bytes,
--         events, cost_micros, currency, rate_class, zone, roaming_country, plmn,
--         product, bundle, invoice_no, part_group, part_no, part_state, correction_of,
--         flags, fingerprint
SELECT
    superseded_by_import_id,
    superseded_at,
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
FROM superseded_record
WHERE customer_id = :customer_id
ORDER BY id;
