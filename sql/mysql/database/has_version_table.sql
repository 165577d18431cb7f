-- Whether the schema was ever created in the current database.
-- reads:  information_schema.tables
-- yields: found (0 or 1)
SELECT count(*) AS found
FROM information_schema.tables
WHERE
    table_schema = database()
    AND table_name = 'alembic_version';
