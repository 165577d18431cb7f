-- A record that does not wait for an owner any more.
-- writes: suspended_record
-- params: import_id, member, line_no
DELETE FROM suspended_record
WHERE
    import_id = :import_id
    AND member = :member
    AND line_no = :line_no;
