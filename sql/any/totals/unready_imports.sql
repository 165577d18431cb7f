-- Imports whose records do not count yet.
-- reads:  import_queue
-- params: none
-- yields: id
SELECT id FROM import_queue
WHERE complete = 0
ORDER BY id;
