-- The database's clock, in whole seconds since 1970.
-- params: none
-- yields: now_s
SELECT cast(strftime('%s', 'now') AS integer) AS now_s;
