"""What an insight is about, what took its place, and which cycles were looked at.

Tables, columns and indexes are added only where they are missing, so that a migration
killed half-way is finished by running it again (DDL is not transactional on MySQL and
MariaDB).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSIGHTS = "billing_insight"
BY_CUSTOMER = "billing_insight_by_customer"


def upgrade() -> None:
    """Add the columns of an insight, an index, and the table of looks."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    there = {column["name"] for column in sa.inspect(bind).get_columns(INSIGHTS)}
    for column in _columns(dialect):
        if column.name not in there:
            op.add_column(INSIGHTS, column)
    stored = sa.Table(INSIGHTS, sa.MetaData(), sa.Column("customer_id", c.whole()))
    sa.Index(BY_CUSTOMER, stored.c.customer_id).create(bind, checkfirst=True)
    _looks(dialect).create(bind, checkfirst=True)


def _columns(dialect: str) -> list[sa.Column[Any]]:
    """What it is about, what took its place and when, and a note of who has seen it."""
    return [
        _limited(dialect, "subject", 191, nullable=False, server_default=sa.text("''")),
        c.moment("replaced_at"),
        sa.Column("replaced_by", c.whole()),
        _limited(dialect, "note", 255),
    ]


def _limited(dialect: str, name: str, length: int, **given: Any) -> sa.Column[Any]:
    """A text; SQLite holds it to its length by a check, as MySQL does by its type."""
    checks = [sa.CheckConstraint(f"length({name}) <= {length}")]
    return sa.Column(
        name, c.text(length), *(checks if dialect == "sqlite" else []), **given
    )


def _looks(dialect: str) -> sa.Table:
    """Which revision of a cycle's totals was looked at, running and when it was over."""
    columns: list[Any] = [
        sa.Column("customer_id", c.whole(), nullable=False),
        sa.Column("cycle_start_date", c.day(), nullable=False),
        sa.Column("part", c.text(8), nullable=False),
        sa.Column("revision", c.whole(), nullable=False),
        c.created(dialect, "looked_at"),
        sa.PrimaryKeyConstraint("customer_id", "cycle_start_date", "part"),
    ]
    limits = c.length_limits(columns) if dialect == "sqlite" else []
    return sa.Table("insight_look", sa.MetaData(), *columns, *limits, **c.TABLE_OPTIONS)
