-- Forget what an earlier attempt of this import set aside as conflict.
-- writes: conflict_record
-- params: import_id
DELETE FROM conflict_record
WHERE import_id = :import_id;
