"""What allowances gave in each cycle, and why each revision of totals was made.

Tables are created only where they are missing, so that a migration killed half-way is
finished by running it again (DDL is not transactional on MySQL and MariaDB).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Columns = list[Any]


def upgrade() -> None:
    """Create every table that is not there yet."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    metadata = sa.MetaData()
    for name, columns in tables().items():
        limits = c.length_limits(columns) if dialect == "sqlite" else []
        table = sa.Table(name, metadata, *columns, *limits, **c.TABLE_OPTIONS)
        table.create(bind, checkfirst=True)


def tables() -> dict[str, Columns]:
    """Every table of this revision, by name."""
    return {
        "total_allowance": [
            _whole("customer_id"),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            _text("rate_plan", 64),
            _text("allowance", 128),
            _text("subscriber", 64),
            _text("unit", 8),
            sa.Column("is_once", c.small(), nullable=False),
            _whole("size"),
            _whole("available"),
            _whole("used"),
            sa.PrimaryKeyConstraint(
                "customer_id", "cycle_start_date", "rate_plan", "allowance", "subscriber"
            ),
        ],
        "total_revision": [
            _whole("customer_id"),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            _whole("revision"),
            _text("reason", 255),
            sa.Column("read_at", c.instant(), nullable=False),
            sa.PrimaryKeyConstraint("customer_id", "cycle_start_date", "revision"),
        ],
    }


def _text(name: str, length: int) -> sa.Column[Any]:
    return sa.Column(name, c.text(length), nullable=False)


def _whole(name: str) -> sa.Column[Any]:
    return sa.Column(name, c.whole(), nullable=False)
