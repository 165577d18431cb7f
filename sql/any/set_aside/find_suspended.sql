-- Whether a record still waits for an owner.
-- reads:  suspended_record
-- params: import_id, member, line_no
-- yields: line_no
SELECT line_no
FROM suspended_record
WHERE
    import_id = :import_id
    AND member = :member
    AND line_no = :line_no;
