"""A command starts quickly: what it does not need is not imported."""

import subprocess
import sys

from tests.tidy.house import ROOT

FOR_SOME_COMMANDS = (
    *("alembic", "asyncssh", "distributed", "duckdb", "httpx", "jinja2", "reportlab"),
    *(
        "stamina",
        "etl.corrections",
        "etl.demo",
        "etl.importing",
        "etl.invoicing",
        "etl.night",
    ),
    *("etl.extract.https", "transforms.lex", "transforms.normalise", "transforms.ubl"),
)
FOR_ANY_WORK = ("polars", "pyarrow", "duckdb", "sqlalchemy", "mysql", "pydantic", "rich")


def imported_by(code: str) -> set[str]:
    """The modules that are loaded once a new interpreter has run some code."""
    told = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_imports_nothing_that_does_the_work() -> None:
    loaded = imported_by("from etl.cli import cli\ncli(['--help'], standalone_mode=False)")
    assert "click" in loaded
    assert loaded & {*FOR_ANY_WORK, *FOR_SOME_COMMANDS} == set()


def test_totals_of_one_customer_import_nothing_that_imports_or_invoices() -> None:
    loaded = imported_by("import etl.commands.totals")
    assert "etl.app" in loaded
    assert loaded & set(FOR_SOME_COMMANDS) == set()


def test_what_is_logged_and_not_shown_does_not_load_the_log_library() -> None:
    job = "with about(run_id='ab12'): logging.getLogger('etl').{}('job begun')"
    ready = "import logging\nfrom etl.logs import about, set_up_logs\nset_up_logs(0)\n"
    assert "structlog" not in imported_by(ready + job.format("info"))
    assert "structlog" in imported_by(ready + job.format("warning"))
