-- Take the offered records out of those that were set aside as duplicate.
-- reads:  offered_place
-- writes: duplicate_record
-- params: import_id, against_import_id
DELETE a
FROM offered_place AS p
STRAIGHT_JOIN duplicate_record AS a
    ON
        a.import_id = :import_id
        AND p.member = a.member
        AND p.line_no = a.line_no
        AND a.against_import_id = :against_import_id;
