-- The database's clock, in whole seconds since 1970.
-- params: none
-- yields: now_s
SELECT unix_timestamp() AS now_s;
