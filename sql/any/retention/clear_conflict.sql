-- Take the raw lines of an import's conflict records away; that there were any stays.
-- writes: conflict_record
-- params: import_id
UPDATE conflict_record
SET raw = ''
WHERE
    import_id = :import_id
    AND raw <> '';
