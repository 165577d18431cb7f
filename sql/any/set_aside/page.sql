-- Records of one import that wait for an owner, a page of them in the order of their place.
-- reads:  suspended_record
-- params: import_id, after_member, after_line_no, most
-- yields: member, line_no, reason_code, reason, raw, provider, layout, every content column,
--         flags, fingerprint
SELECT
    member,
    line_no,
    reason_code,
    reason,
    raw,
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
FROM suspended_record
WHERE
    import_id = :import_id
    AND (
        member > :after_member
        OR (member = :after_member AND line_no > :after_line_no)
    )
ORDER BY member, line_no
LIMIT :most;
