-- The first cycle that was ever invoiced; null when none was.
-- reads:  invoice
-- params: none
-- yields: cycle_start_date
SELECT min(cycle_start_date) AS cycle_start_date
FROM invoice;
