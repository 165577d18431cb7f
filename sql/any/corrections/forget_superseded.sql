-- A record is history no longer: it counts again, or its import was backed out.
-- writes: superseded_record
-- params: id
DELETE FROM superseded_record
WHERE id = :id;
