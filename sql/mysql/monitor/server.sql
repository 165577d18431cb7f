-- Which server this is, in its own words.
-- reads:  none
-- params: none
-- yields: name, version
SELECT
    @@version_comment AS name,
    version() AS version;
