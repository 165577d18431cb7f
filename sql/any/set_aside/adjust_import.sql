-- Where records of an import that waited for an owner have ended now.
-- writes: import_queue
-- params: import_id, resolved, loaded, duplicates, conflicts, cost_micros, first_call_date,
--         last_call_date
UPDATE import_queue
SET
    suspended = suspended - :resolved,
    loaded = loaded + :loaded,
    duplicates = duplicates + :duplicates,
    conflicts = conflicts + :conflicts,
    cost_micros = cost_micros + :cost_micros,
    first_call_date = CASE
        WHEN first_call_date < :first_call_date THEN first_call_date
        ELSE coalesce(:first_call_date, first_call_date)
    END,
    last_call_date = CASE
        WHEN last_call_date > :last_call_date THEN last_call_date
        ELSE coalesce(:last_call_date, last_call_date)
    END
WHERE
    id = :import_id
    AND complete = 1
    AND suspended >= :resolved;
