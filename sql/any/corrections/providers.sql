-- Providers with complete imports.
-- reads:  import_queue
-- params: none
-- yields: provider
SELECT DISTINCT provider
FROM import_queue
WHERE complete = 1
ORDER BY provider;
