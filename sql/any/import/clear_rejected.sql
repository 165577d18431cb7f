-- Forget what an earlier attempt of this import set aside as rejected.
-- writes: rejected_record
-- params: import_id
DELETE FROM rejected_record
WHERE import_id = :import_id;
