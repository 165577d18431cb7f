-- Records of a customer that had come before.
-- reads:  duplicate_record
-- params: customer_id
-- yields: import_id, member, line_no, reason_code, call_date, cost_micros
SELECT
    import_id,
    member,
    line_no,
    reason_code,
    call_date,
    cost_micros
FROM duplicate_record
WHERE customer_id = :customer_id
ORDER BY import_id, member, line_no;
