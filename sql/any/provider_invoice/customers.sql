-- Whose records an import loaded.
-- reads:  import_cycle
-- params: import_id
-- yields: customer_id
SELECT DISTINCT customer_id
FROM import_cycle
WHERE import_id = :import_id
ORDER BY customer_id;
