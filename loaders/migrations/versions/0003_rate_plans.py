"""Rate plans as they were loaded, who has which and when, and why usage has no price.

Tables are created only where they are missing, so that a migration killed half-way is
finished by running it again (DDL is not transactional on MySQL and MariaDB).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Columns = list[Any]


def upgrade() -> None:
    """Create every table that is not there yet."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    metadata = sa.MetaData()
    for name, columns in tables(dialect).items():
        limits = c.length_limits(columns) if dialect == "sqlite" else []
        table = sa.Table(name, metadata, *columns, *limits, **c.TABLE_OPTIONS)
        table.create(bind, checkfirst=True)


def tables(dialect: str) -> dict[str, Columns]:
    """Every table of this revision, by name."""
    return {
        "rate_plan": [
            _text("rate_plan", 64),
            _text("version", 64),
            sa.Column("is_current", c.small(), nullable=False),
            _text("currency", 3),
            sa.Column("valid_from", c.day()),
            sa.Column("valid_to", c.day()),
            sa.Column("document", c.long_text(), nullable=False),
            c.created(dialect, "loaded_at"),
            sa.PrimaryKeyConstraint("rate_plan", "version"),
        ],
        "customer_rate_plan": [
            sa.Column("id", c.whole(), primary_key=True, autoincrement=True),
            _whole("customer_id"),
            _text("rate_plan", 64),
            sa.Column("valid_from", c.day()),
            sa.Column("valid_to", c.day()),
            sa.UniqueConstraint("customer_id", "valid_from"),
        ],
        "total_unrated_reason": [
            _whole("customer_id"),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            _whole("reason_no"),
            _text("usage_type", 16),
            _text("unrated_code", 64),
            _text("unrated_reason", 255),
            _whole("cdr_count"),
            _whole("quantity"),
            sa.PrimaryKeyConstraint("customer_id", "cycle_start_date", "reason_no"),
        ],
    }


def _text(name: str, length: int) -> sa.Column[Any]:
    return sa.Column(name, c.text(length), nullable=False)


def _whole(name: str) -> sa.Column[Any]:
    return sa.Column(name, c.whole(), nullable=False)
