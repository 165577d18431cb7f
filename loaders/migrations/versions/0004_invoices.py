"""Invoices with their numbers, charges beside usage, insights, and what retention keeps.

Tables are created only where they are missing, so that a migration killed half-way is
finished by running it again (DDL is not transactional on MySQL and MariaDB).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Columns = list[Any]


def upgrade() -> None:
    """Create every table, and every index of it, that is not there yet."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    metadata = sa.MetaData()
    for name, columns in tables(dialect).items():
        limits = c.length_limits(columns) if dialect == "sqlite" else []
        table = sa.Table(name, metadata, *columns, *limits, **c.TABLE_OPTIONS)
        table.create(bind, checkfirst=True)
        for index in table.indexes:
            index.create(bind, checkfirst=True)


def tables(dialect: str) -> dict[str, Columns]:
    """Every table of this revision, by name."""
    return {
        **invoice_tables(dialect),
        "billing_insight": [
            sa.Column("id", c.whole(), primary_key=True, autoincrement=True),
            _text("kind", 64),
            _text("severity", 16),
            sa.Column("customer_id", c.whole()),
            sa.Column("provider", c.text(64)),
            sa.Column("cycle_start_date", c.day()),
            sa.Column("evidence", c.long_text(), nullable=False),
            _text("content_sha256", 64),
            c.created(dialect, "created_at"),
            sa.Column("acknowledged_by", c.text(128)),
            c.moment("acknowledged_at"),
            sa.UniqueConstraint("content_sha256"),
            sa.Index("billing_insight_by_time", "created_at"),
        ],
        "retained_aggregate": [
            _whole("import_id"),
            _text("kind", 16),
            _whole("customer_id"),
            _day("cycle_start_date"),
            _text("usage_type", 16),
            _text("zone", 64),
            _whole("record_count"),
            _whole("unrated_count"),
            _whole("duration_s"),
            _whole("volume_bytes"),
            _whole("events"),
            _whole("cost_micros"),
            c.created(dialect, "retained_at"),
            sa.PrimaryKeyConstraint(
                "customer_id", "cycle_start_date", "kind", "import_id", "usage_type", "zone"
            ),
            sa.Index("retained_aggregate_of_import", "import_id"),
        ],
    }


def invoice_tables(dialect: str) -> dict[str, Columns]:
    """Numbers, invoices with their lines and VAT, and charges beside usage."""
    return {
        "invoice_sequence": [
            _text("series", 16),
            _whole("year"),
            _whole("last_number"),
            sa.PrimaryKeyConstraint("series", "year"),
        ],
        "invoice": [
            sa.Column("invoice_number", c.text(32), primary_key=True),
            _text("series", 16),
            _whole("year"),
            _whole("sequence_no"),
            _text("kind", 16),
            _whole("customer_id"),
            _day("cycle_start_date"),
            _day("cycle_end_date"),
            _whole("document_no"),
            _whole("base_revision"),
            _whole("revision"),
            _text("totals_sha256", 64),
            _text("method", 16),
            _text("currency", 3),
            _whole("usage_micros"),
            _whole("charges_micros"),
            _whole("rounding_micros"),
            _whole("net_cents"),
            _whole("vat_cents"),
            _whole("gross_cents"),
            _day("issue_date"),
            _day("due_date"),
            _text("issued_by", 128),
            _text("reason", 255),
            *(
                sa.Column(name, c.long_text(), nullable=False)
                for name in ("refers_to", "supplier", "customer", "terms", "notes")
            ),
            _text("content_sha256", 64),
            c.created(dialect, "created_at"),
            sa.UniqueConstraint("series", "year", "sequence_no"),
            sa.UniqueConstraint("customer_id", "cycle_start_date", "document_no"),
            c.money_limit("usage_micros"),
        ],
        "invoice_line": [
            _text("invoice_number", 32),
            _whole("line_no"),
            _text("kind", 16),
            _text("name", 255),
            _text("usage_type", 16),
            _text("zone", 64),
            _whole("quantity"),
            _whole("duration_s"),
            _whole("volume_bytes"),
            _whole("events"),
            _whole("amount_micros"),
            _whole("amount_cents"),
            _text("vat_category", 2),
            _whole("vat_rate_bp"),
            sa.Column("vat_cents", c.whole()),
            sa.PrimaryKeyConstraint("invoice_number", "line_no"),
        ],
        "invoice_vat": [
            _text("invoice_number", 32),
            _text("category", 2),
            _whole("rate_bp"),
            _whole("taxable_cents"),
            _whole("vat_cents"),
            _text("reason", 255),
            sa.PrimaryKeyConstraint("invoice_number", "category", "rate_bp"),
        ],
        "customer_charge": [
            sa.Column("id", c.whole(), primary_key=True, autoincrement=True),
            _whole("customer_id"),
            _text("kind", 16),
            _text("name", 255),
            _whole("amount_micros"),
            _whole("quantity"),
            sa.Column("valid_from", c.day()),
            sa.Column("valid_to", c.day()),
            sa.Index("customer_charge_of", "customer_id"),
        ],
    }


def _text(name: str, length: int) -> sa.Column[Any]:
    return sa.Column(name, c.text(length), nullable=False)


def _whole(name: str) -> sa.Column[Any]:
    return sa.Column(name, c.whole(), nullable=False)


def _day(name: str) -> sa.Column[Any]:
    return sa.Column(name, c.day(), nullable=False)
