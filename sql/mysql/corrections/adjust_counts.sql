-- Say anew where the records of a complete import ended; the sum stays.
-- writes: import_queue
-- params: import_id, loaded, duplicates, conflicts, rejected, suspended, cost_micros,
--         first_call_date, last_call_date (null when no record was loaded)
UPDATE import_queue
SET
    loaded = loaded + :loaded,
    duplicates = duplicates + :duplicates,
    conflicts = conflicts + :conflicts,
    rejected = rejected + :rejected,
    suspended = suspended + :suspended,
    cost_micros = cost_micros + :cost_micros,
    first_call_date = CASE
        WHEN
            first_call_date IS NULL OR first_call_date > :first_call_date
            THEN coalesce(:first_call_date, first_call_date)
        ELSE first_call_date
    END,
    last_call_date = CASE
        WHEN
            last_call_date IS NULL OR last_call_date < :last_call_date
            THEN coalesce(:last_call_date, last_call_date)
        ELSE last_call_date
    END,
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND complete = 1;
