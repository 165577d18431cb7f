"""The spine: reference data, imports with their ledger, CDRs, totals and the job queue.

Tables are created only where they are missing, so that a migration killed half-way is
finished by running it again (DDL is not transactional on MySQL and MariaDB).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from loaders.migrations import columns as c

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Columns = list[Any]


def upgrade() -> None:
    """Create every table, and every index of it, that is not there yet."""
    bind = op.get_bind()
    dialect = "sqlite" if bind.dialect.name == "sqlite" else "mysql"
    metadata = sa.MetaData()
    for name, columns in tables(dialect).items():
        options = dict(c.TABLE_OPTIONS)
        if name == "call_detail_record":
            options["sqlite_with_rowid"] = False
        limits = c.length_limits(columns) if dialect == "sqlite" else []
        table = sa.Table(name, metadata, *columns, *limits, **options)
        table.create(bind, checkfirst=True)
        for index in table.indexes:
            index.create(bind, checkfirst=True)


def tables(dialect: str) -> dict[str, Columns]:
    """Every table of this revision, by name."""
    return {
        **reference_tables(dialect),
        **import_tables(dialect),
        **record_tables(dialect),
        **totals_tables(dialect),
        **job_tables(dialect),
    }


def _id() -> sa.Column[Any]:
    return sa.Column("id", c.whole(), primary_key=True, autoincrement=True)


def _text(name: str, length: int, *, required: bool = False) -> sa.Column[Any]:
    return sa.Column(name, c.text(length), nullable=not required)


def _whole(
    name: str, *, required: bool = False, default: int | None = None
) -> sa.Column[Any]:
    given = None if default is None else sa.text(str(default))
    return sa.Column(
        name, c.whole(), nullable=not required and default is None, server_default=given
    )


def _key(*columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns)


def reference_tables(dialect: str) -> dict[str, Columns]:
    """Customers, who owns which number and when, and the feeds to fetch."""
    return {
        "customer": [
            sa.Column("customer_id", c.whole(), primary_key=True, autoincrement=False),
            _text("name", 255, required=True),
            _text("timezone", 64, required=True),
            _whole("cycle_day", required=True),
            _text("currency", 3, required=True),
            sa.Column("details", c.long_text(), nullable=False),
        ],
        "subscription": [
            _id(),
            _text("kind", 16, required=True),
            _text("identifier", 128, required=True),
            _whole("customer_id", required=True),
            sa.Column("valid_from", c.day()),
            sa.Column("valid_to", c.day()),
            sa.Index("subscription_by_identifier", "kind", "identifier"),
        ],
        "sync_profile": [
            _id(),
            _text("provider", 64, required=True),
            _whole("enabled", default=1),
            _whole("every_minutes", required=True),
            c.moment("last_sync_at"),
            sa.Column("settings", c.long_text(), nullable=False),
            sa.UniqueConstraint("provider"),
        ],
        "sync_task": [
            _id(),
            _whole("sync_profile_id"),
            _text("provider", 64),
            _text("status", 16, required=True),
            sa.Column("message", c.long_text()),
            c.created(dialect, "created_at"),
            c.moment("started_at"),
            c.moment("finished_at"),
            sa.Index("sync_task_by_time", "created_at"),
        ],
        "reference_state": [
            sa.Column("name", c.text(64), primary_key=True),
            _text("sha256", 64, required=True),
            c.created(dialect, "loaded_at"),
        ],
    }


def import_tables(dialect: str) -> dict[str, Columns]:
    """Deliveries, their ledger, and what of them was set aside."""
    return {
        "import_queue": [
            _id(),
            _text("type", 80, required=True),
            _text("provider", 64, required=True),
            _whole("locked", default=0),
            _whole("complete", default=0),
            _text("status", 16, required=True),
            sa.Column("message", c.long_text()),
            _text("file_name", 255, required=True),
            _text("sha256", 64, required=True),
            _whole("size_bytes", required=True),
            _text("account", 64),
            _text("period", 16),
            _text("sequence", 16),
            _text("profile_version", 32),
            _text("profile_sha256", 64),
            sa.Column("control_text", c.long_text()),
            _whole("records", default=0),
            _whole("loaded", default=0),
            _whole("duplicates", default=0),
            _whole("conflicts", default=0),
            _whole("rejected", default=0),
            _whole("suspended", default=0),
            _whole("ignored", default=0),
            _whole("cost_micros", default=0),
            _whole("duration_ms", default=0),
            sa.Column("first_call_date", c.wall_clock()),
            sa.Column("last_call_date", c.wall_clock()),
            _text("owner", 128),
            _whole("fence", default=0),
            c.moment("lease_until"),
            _whole("attempts", default=0),
            c.created(dialect, "created_at"),
            c.created(dialect, "updated_at"),
            c.moment("started_at"),
            c.moment("finished_at"),
            sa.UniqueConstraint("provider", "sha256"),
            sa.Index("import_queue_by_time", "created_at"),
        ],
        "lease": [
            sa.Column("name", c.text(128), primary_key=True),
            _text("owner", 128),
            _whole("fence", default=0),
            c.moment("lease_until"),
        ],
        "delivery_request": [
            _text("provider", 64, required=True),
            _text("account", 64, required=True),
            _text("period", 16, required=True),
            _text("request_id", 128, required=True),
            _text("status", 16, required=True),
            _whole("import_id"),
            c.created(dialect, "requested_at"),
            _key("provider", "account", "period"),
        ],
        "import_batch": [
            _whole("import_id", required=True),
            _whole("batch_no", required=True),
            _whole("first_line", required=True),
            _whole("last_line", required=True),
            _whole("record_count", required=True),
            _whole("cost_micros", required=True),
            c.created(dialect, "committed_at"),
            _key("import_id", "batch_no"),
        ],
        "import_cycle": [
            _whole("import_id", required=True),
            _whole("customer_id", required=True),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            sa.Column("cycle_end_date", c.day(), nullable=False),
            _whole("record_count", required=True),
            _whole("cost_micros", required=True),
            _key("import_id", "customer_id", "cycle_start_date"),
        ],
        "dirty_cycle": [
            _whole("customer_id", required=True),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            sa.Column("cycle_end_date", c.day(), nullable=False),
            _whole("mark", required=True),
            _text("reason", 255, required=True),
            c.created(dialect, "marked_at"),
            _key("customer_id", "cycle_start_date"),
        ],
        "rejected_record": [*_set_aside(), sa.Column("raw", c.long_text(), nullable=False)],
        "conflict_record": [
            *_set_aside(),
            sa.Column("raw", c.long_text(), nullable=False),
            _whole("customer_id"),
            sa.Column("call_date", c.wall_clock()),
            _whole("fingerprint", required=True),
            _whole("cost_micros"),
            _whole("against_import_id"),
        ],
        "duplicate_record": [
            *_set_aside(),
            _whole("customer_id"),
            sa.Column("call_date", c.wall_clock()),
            _whole("fingerprint", required=True),
            _whole("cost_micros"),
            _whole("against_import_id"),
        ],
        "suspended_record": [
            *_set_aside(),
            sa.Column("raw", c.long_text(), nullable=False),
            _text("provider", 64, required=True),
            _text("layout", 64, required=True),
            *_content(),
        ],
    }


def _set_aside() -> Columns:
    return [
        _whole("import_id", required=True),
        _text("member", 255, required=True),
        _whole("line_no", required=True),
        _text("reason_code", 64, required=True),
        _text("reason", 255, required=True),
        _key("import_id", "member", "line_no"),
    ]


def _content() -> Columns:
    return [
        _text("record_id", 128),
        _text("account", 64),
        _text("contract", 64),
        _text("subscriber", 64, required=True),
        _text("other_kind", 8, required=True),
        _text("other", 128),
        _text("other_class", 24),
        _text("direction", 3, required=True),
        _text("usage_type", 16, required=True),
        sa.Column("started_at_utc", c.wall_clock(), nullable=False),
        _whole("duration_s"),
        _whole("volume_bytes"),
        _whole("events"),
        _whole("cost_micros"),
        _text("currency", 3, required=True),
        _text("rate_class", 64),
        _text("zone", 64),
        _text("roaming_country", 64),
        _text("plmn", 16),
        _text("product", 128),
        _text("bundle", 128),
        _text("invoice_no", 64),
        _text("part_group", 64),
        _text("part_no", 16),
        _text("part_state", 8),
        _text("correction_of", 128),
        _text("flags", 255, required=True),
        _whole("fingerprint", required=True),
    ]


def record_tables(dialect: str) -> dict[str, Columns]:
    """The CDRs themselves, clustered by customer and time, and the ones replaced."""
    return {
        "call_detail_record": [
            _whole("customer_id", required=True),
            sa.Column("call_date", c.wall_clock(), nullable=False),
            _whole("import_id", required=True),
            _text("member", 255, required=True),
            _whole("line_no", required=True),
            _text("provider", 64, required=True),
            _text("layout", 64, required=True),
            *_content(),
            c.amount(dialect, "cost"),
            _key("customer_id", "call_date", "fingerprint"),
            c.money_limit("cost_micros"),
        ],
        "superseded_record": [
            _id(),
            _whole("superseded_by_import_id", required=True),
            c.created(dialect, "superseded_at"),
            _whole("customer_id", required=True),
            sa.Column("call_date", c.wall_clock(), nullable=False),
            _whole("import_id", required=True),
            _text("member", 255, required=True),
            _whole("line_no", required=True),
            _text("provider", 64, required=True),
            _text("layout", 64, required=True),
            *_content(),
            sa.Index("superseded_by_import", "superseded_by_import_id"),
        ],
    }


def totals_tables(dialect: str) -> dict[str, Columns]:
    """Totals with their lines, every revision ever written, and what providers charge."""
    return {
        "total_usage_new_table": [
            _id(),
            *_totals(),
            c.amount(dialect, "total_cost"),
            c.created(dialect, "created_at"),
            c.created(dialect, "updated_at"),
            sa.UniqueConstraint("customer_id", "cycle_start_date"),
            sa.Index("total_usage_by_time", "updated_at"),
            c.money_limit("total_cost_micros"),
            c.money_limit("provider_cost_micros"),
        ],
        "total_usage_line": [
            _whole("customer_id", required=True),
            sa.Column("cycle_start_date", c.day(), nullable=False),
            _whole("line_no", required=True),
            _text("usage_type", 16, required=True),
            _text("zone", 64, required=True),
            _whole("cdr_count", required=True),
            _whole("unrated_count", required=True),
            _whole("duration_s", required=True),
            _whole("volume_bytes", required=True),
            _whole("events", required=True),
            _whole("cost_micros", required=True),
            _key("customer_id", "cycle_start_date", "line_no"),
        ],
        "total_usage_new_backup_table": [
            _id(),
            *_totals(),
            c.amount(dialect, "total_cost"),
            sa.Column("lines", c.long_text(), nullable=False),
            c.created(dialect, "backed_up_at"),
            sa.UniqueConstraint("customer_id", "cycle_start_date", "revision"),
        ],
        "provider_invoice": [
            sa.Column("import_id", c.whole(), primary_key=True, autoincrement=False),
            _text("provider", 64, required=True),
            _text("currency", 3, required=True),
            _whole("record_count", required=True),
            _whole("unrated_count", required=True),
            _whole("cost_micros", required=True),
            c.created(dialect, "created_at"),
        ],
        "provider_invoice_line": [
            _whole("import_id", required=True),
            _whole("line_no", required=True),
            _whole("customer_id", required=True),
            _text("contract", 64, required=True),
            _text("usage_type", 16, required=True),
            _whole("record_count", required=True),
            _whole("unrated_count", required=True),
            _whole("cost_micros", required=True),
            _key("import_id", "line_no"),
        ],
    }


def _totals() -> Columns:
    return [
        _whole("customer_id", required=True),
        sa.Column("cycle_start_date", c.day(), nullable=False),
        sa.Column("cycle_end_date", c.day(), nullable=False),
        _whole("revision", required=True),
        _text("method", 16, required=True),
        _text("rate_plan", 128),
        _text("rate_plan_version", 64),
        _text("currency", 3, required=True),
        _whole("total_cost_micros", required=True),
        _whole("provider_cost_micros", required=True),
        _whole("cdr_count", required=True),
        _whole("unrated_count", required=True),
        _text("content_sha256", 64, required=True),
    ]


def job_tables(dialect: str) -> dict[str, Columns]:
    """The durable command queue."""
    return {
        "job": [
            _id(),
            _text("command", 64, required=True),
            sa.Column("payload", c.long_text(), nullable=False),
            _text("work_key", 191, required=True),
            _text("active_key", 191),
            _text("run_id", 64, required=True),
            _whole("parent_id"),
            _text("status", 16, required=True),
            _whole("attempts", default=0),
            _whole("max_attempts", required=True),
            c.created(dialect, "available_at"),
            _text("owner", 128),
            _whole("fence", default=0),
            c.moment("lease_until"),
            sa.Column("message", c.long_text()),
            sa.Column("result", c.long_text()),
            c.created(dialect, "created_at"),
            c.created(dialect, "updated_at"),
            c.moment("started_at"),
            c.moment("finished_at"),
            sa.UniqueConstraint("active_key"),
            sa.Index("job_by_status", "status", "available_at"),
            sa.Index("job_by_run", "run_id"),
        ],
    }
