-- Make room for the corrected cycles of some customers of an import.
-- writes: import_cycle
-- params: import_id, customer_ids
DELETE FROM import_cycle
WHERE
    import_id = :import_id
    AND customer_id IN :customer_ids;
