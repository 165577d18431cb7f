-- The revision the schema is at.
-- reads:  alembic_version
-- yields: version_num
SELECT version_num
FROM alembic_version
ORDER BY version_num;
