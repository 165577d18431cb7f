-- Records of one cycle, half-open, that later deliveries replaced, and what stands at their
-- place and time since then.
-- reads:  superseded_record, import_queue, call_detail_record
-- params: customer_id, cycle_start_date, cycle_end_date
-- yields: provider, record_id, call_date, fingerprint, usage_type, zone, roaming_country,
--         import_id, member, line_no, cost_micros, came_at, replaced_by, replaced_at,
--         now_usage_type, now_zone, now_roaming_country, now_member, now_line_no,
--         now_cost_micros
SELECT
    s.provider,
    s.record_id,
    s.call_date,
    s.fingerprint,
    s.usage_type,
    s.zone,
    s.roaming_country,
    s.import_id,
    s.member,
    s.line_no,
    s.cost_micros,
    coalesce(a.finished_at, a.updated_at) AS came_at,
    s.superseded_by_import_id AS replaced_by,
    coalesce(b.finished_at, b.updated_at) AS replaced_at,
    r.usage_type AS now_usage_type,
    r.zone AS now_zone,
    r.roaming_country AS now_roaming_country,
    r.member AS now_member,
    r.line_no AS now_line_no,
    r.cost_micros AS now_cost_micros
FROM superseded_record AS s
INNER JOIN import_queue AS a ON s.import_id = a.id
INNER JOIN import_queue AS b ON s.superseded_by_import_id = b.id
LEFT JOIN call_detail_record AS r
    ON
        s.customer_id = r.customer_id
        AND s.call_date = r.call_date
        AND s.fingerprint = r.fingerprint
        AND s.superseded_by_import_id = r.import_id
WHERE
    s.customer_id = :customer_id
    AND s.call_date >= :cycle_start_date
    AND s.call_date < :cycle_end_date
    AND a.complete = 1
    AND b.complete = 1
ORDER BY s.fingerprint, s.id;
