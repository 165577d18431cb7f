-- Forget what an earlier attempt of this import set aside as suspended.
-- writes: suspended_record
-- params: import_id
DELETE FROM suspended_record
WHERE import_id = :import_id;
