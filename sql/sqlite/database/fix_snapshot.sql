-- The first read of a snapshot: from here on it sees one state of the database.
-- reads:  sqlite_master
-- yields: found
SELECT count(*) AS found
FROM sqlite_master;
