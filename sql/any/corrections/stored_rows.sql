-- The stored records of a provider, of a page of customers from a day on.
-- reads:  call_detail_record
-- params: provider, customer_ids, since, unready_ids
-- yields: customer_id, call_date, import_id, member, line_no, provider, layout, record_id,
--         account, contract, subscriber, other_kind, other, other_class, direction,
--         usage_type, started_at_utc, duration_s, volume_bytes, events, cost_micros,
--         currency, rate_class, zone, roaming_country, plmn, product, bundle, invoice_no,
--         part_group, part_no, part_state, correction_of, flags, fingerprint
SELECT
    customer_id,
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
WHERE
    customer_id IN :customer_ids
    AND call_date >= :since
    AND provider = :provider
    AND import_id NOT IN :unready_ids;
