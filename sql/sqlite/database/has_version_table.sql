-- Whether the schema was ever created in this file.
-- reads:  sqlite_master
-- yields: found (0 or 1)
SELECT count(*) AS found
FROM sqlite_master
WHERE
    type = 'table'
    AND name = 'alembic_version';
