"""Schema migrations (alembic), forward only, one list for both databases."""
