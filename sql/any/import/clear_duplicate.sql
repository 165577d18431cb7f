-- Forget what an earlier attempt of this import set aside as duplicate.
-- writes: duplicate_record
-- params: import_id
DELETE FROM duplicate_record
WHERE import_id = :import_id;
