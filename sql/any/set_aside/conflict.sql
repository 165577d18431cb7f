-- Records whose key came with other content, newest import first.
-- reads:  conflict_record, import_queue
-- params: first_import_id, last_import_id, most
-- yields: import_id, provider, file_name, member, line_no, reason_code, reason, raw, subscriber,
--         customer_id, call_date, cost_micros, against_import_id
SELECT
    r.import_id,
    q.provider,
    q.file_name,
    r.member,
    r.line_no,
    r.reason_code,
    r.reason,
    r.raw,
    NULL AS subscriber,
    r.customer_id,
    r.call_date,
    r.cost_micros,
    r.against_import_id
FROM conflict_record AS r
INNER JOIN import_queue AS q ON r.import_id = q.id
WHERE r.import_id BETWEEN :first_import_id AND :last_import_id
ORDER BY r.import_id DESC, r.member ASC, r.line_no ASC
LIMIT :most;
