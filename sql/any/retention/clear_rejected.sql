-- Take the raw lines of an import's rejected records away; that there were any stays.
-- writes: rejected_record
-- params: import_id
UPDATE rejected_record
SET raw = ''
WHERE
    import_id = :import_id
    AND raw <> '';
