"""What operators decide about deliveries, and the way back to what was set aside.

Every step looks first whether it was taken, so that a migration killed half-way is
finished by running it again (DDL is not transactional on MySQL and MariaDB).
"""

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOOKED_UP = {
    "duplicate_against": ("duplicate_record", "against_import_id"),
    "conflict_against": ("conflict_record", "against_import_id"),
    "superseded_of_import": ("superseded_record", "import_id"),
}
"""Indexes a revert needs: what later deliveries had against an import, and its history."""


def upgrade() -> None:
    """Add the table of decisions and three indexes, where they are not there yet."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    decision = _decisions(dialect)
    decision.create(bind, checkfirst=True)
    for index in decision.indexes:
        index.create(bind, checkfirst=True)
    for name, (table, column) in LOOKED_UP.items():
        stored = sa.Table(table, sa.MetaData(), sa.Column(column, c.whole()))
        sa.Index(name, stored.c[column]).create(bind, checkfirst=True)


def _decisions(dialect: str) -> sa.Table:
    columns: list[sa.Column[object] | sa.Index] = [
        sa.Column("id", c.whole(), primary_key=True, autoincrement=True),
        sa.Column("import_id", c.whole(), nullable=False),
        sa.Column("decision", c.text(16), nullable=False),
        sa.Column("decided_by", c.text(128), nullable=False),
        c.created(dialect, "decided_at"),
        sa.Column("record_count", c.whole(), nullable=False),
        sa.Column("cost_micros", c.whole(), nullable=False),
        sa.Column("reason", c.text(255), nullable=False),
        sa.Index("import_decision_of", "import_id"),
    ]
    limits = c.length_limits(columns) if dialect == "sqlite" else []
    return sa.Table("import_decision", sa.MetaData(), *columns, *limits, **c.TABLE_OPTIONS)
