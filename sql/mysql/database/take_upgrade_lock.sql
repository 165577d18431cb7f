-- Lets one process at a time change the schema of the current database.
-- params: patience_s (seconds to wait for another process)
-- yields: taken (1 when this session holds the lock)
SELECT get_lock(concat('cdr-etl-', md5(database())), :patience_s) AS taken;
