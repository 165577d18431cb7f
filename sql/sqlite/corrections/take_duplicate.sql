-- Take the offered records out of those that were set aside as duplicate.
-- reads:  offered_place
-- writes: duplicate_record
-- params: import_id, against_import_id
DELETE FROM duplicate_record
WHERE
    import_id = :import_id
    AND against_import_id = :against_import_id
    AND (member, line_no) IN (
        SELECT
            member,
            line_no
        FROM offered_place
    );
