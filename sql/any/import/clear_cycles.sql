-- Forget which cycles an earlier attempt of this import touched.
-- writes: import_cycle
-- params: import_id
DELETE FROM import_cycle
WHERE import_id = :import_id;
