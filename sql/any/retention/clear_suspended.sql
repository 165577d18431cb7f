-- Take the raw lines of an import's suspended records away; that there were any stays.
-- writes: suspended_record
-- params: import_id
UPDATE suspended_record
SET raw = ''
WHERE
    import_id = :import_id
    AND raw <> '';
