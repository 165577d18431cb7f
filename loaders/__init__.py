"""Loaders: the database door. One class for MySQL/MariaDB, one for SQLite."""
