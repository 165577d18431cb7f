-- Lets the next process change the schema of the current database.
-- yields: dropped (1 when this session held the lock)
SELECT release_lock(concat('cdr-etl-', md5(database()))) AS dropped;
