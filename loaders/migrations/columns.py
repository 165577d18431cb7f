"""Column types and table options that mean the same on MySQL/MariaDB and SQLite.

Used by migrations only. SQLite tables are STRICT, so every type there is INTEGER or TEXT;
date-times are ``YYYY-MM-DD HH:MM:SS`` texts, which sort and compare as times do.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import SchemaItem

TABLE_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
    "sqlite_strict": True,
}

Type = sa.types.TypeEngine[Any]


def whole() -> Type:
    """A 64-bit signed whole number: ids, micros, seconds, bytes."""
    return sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")


def small() -> Type:
    """A small whole number: flags, days, counters."""
    return sa.Integer().with_variant(sqlite.INTEGER(), "sqlite")


def text(length: int) -> Type:
    """A text of at most ``length`` characters."""
    return sa.String(length).with_variant(sqlite.TEXT(), "sqlite")


def long_text() -> Type:
    """A text without a practical limit: JSON documents and raw lines."""
    return (
        sa.Text()
        .with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
        .with_variant(sqlite.TEXT(), "sqlite")
    )


def wall_clock() -> Type:
    """A date-time without a zone, to the second."""
    return sa.DateTime().with_variant(sqlite.TEXT(), "sqlite")


def day() -> Type:
    """A calendar date."""
    return sa.Date().with_variant(sqlite.TEXT(), "sqlite")


def instant() -> Type:
    """A moment by the database's clock, to the microsecond (SQLite: millisecond)."""
    return (
        sa.TIMESTAMP()
        .with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb")
        .with_variant(sqlite.TEXT(), "sqlite")
    )


def now(dialect: str) -> sa.TextClause:
    """The database's own clock as a column default."""
    if dialect == "sqlite":
        return sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))")
    return sa.text("CURRENT_TIMESTAMP(6)")


def created(dialect: str, name: str) -> sa.Column[Any]:
    """A moment that is filled in when the row is written."""
    return sa.Column(name, instant(), nullable=False, server_default=now(dialect))


def moment(name: str) -> sa.Column[Any]:
    """A moment that may not have come yet."""
    return sa.Column(name, instant(), nullable=True, server_default=sa.text("NULL"))


def amount(dialect: str, name: str) -> sa.Column[Any]:
    """The readable money column generated from its ``_micros`` column.

    MySQL multiplies, because the scale of a division depends on a server setting;
    SQLite prints the integer, because ``%.6f`` would go through a float.
    """
    micros = f"{name}_micros"
    if dialect == "sqlite":
        sign = f"CASE WHEN {micros} < 0 THEN '-' ELSE '' END"
        expression = (
            f"CASE WHEN {micros} IS NULL THEN NULL ELSE printf('%s%d.%06d', {sign}, "
            f"abs({micros}) / 1000000, abs({micros}) % 1000000) END"
        )
        return sa.Column(name, sqlite.TEXT(), sa.Computed(expression, persisted=False))
    expression = f"{micros} * 0.000001"
    return sa.Column(name, sa.Numeric(18, 6), sa.Computed(expression, persisted=False))


def length_limits(columns: Sequence[SchemaItem]) -> list[SchemaItem]:
    """The lengths MySQL holds texts to, as checks: SQLite's TEXT has none of its own."""
    return [
        sa.CheckConstraint(f"length({column.name}) <= {column.type.length}")
        for column in columns
        if isinstance(column, sa.Column)
        and isinstance(column.type, sa.String)
        and column.type.length is not None
    ]


def money_limit(micros: str) -> sa.CheckConstraint:
    """No amount may reach 10^18 micros."""
    limit = 10**18
    return sa.CheckConstraint(f"{micros} > -{limit} AND {micros} < {limit}")
