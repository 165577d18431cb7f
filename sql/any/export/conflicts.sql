-- Records of a customer whose key came with other content.
-- reads:  conflict_record
-- params: customer_id
-- yields: import_id, member, line_no, reason_code, call_date, cost_micros, raw
SELECT
    import_id,
    member,
    line_no,
    reason_code,
    call_date,
    cost_micros,
    raw
FROM conflict_record
WHERE customer_id = :customer_id
ORDER BY import_id, member, line_no;
