-- The sql_mode of the server, for sessions that are not ours.
-- yields: sql_mode
SELECT @@global.sql_mode AS sql_mode;
