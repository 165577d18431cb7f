-- Say which import replaced a record, when the one in between is backed out.
-- writes: superseded_record
-- params: id, superseded_by_import_id
UPDATE superseded_record
SET superseded_by_import_id = :superseded_by_import_id
WHERE id = :id;
