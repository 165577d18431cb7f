-- Which database library this is, in its own words.
-- reads:  none
-- params: none
-- yields: name, version
SELECT
    'SQLite' AS name,
    sqlite_version() AS version;
