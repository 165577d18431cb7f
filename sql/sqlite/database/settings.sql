-- The settings of this connection that decide whether data is safe.
-- yields: name, value
SELECT
    'foreign_keys' AS name,
    cast(foreign_keys AS text) AS value
FROM pragma_foreign_keys
UNION ALL
SELECT
    'journal_mode',
    cast(journal_mode AS text)
FROM pragma_journal_mode
UNION ALL
SELECT
    'synchronous',
    cast(synchronous AS text)
FROM pragma_synchronous
UNION ALL
SELECT
    'version',
    sqlite_version();
