"""Options every command has, and the way a command speaks: people's text or JSON."""

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

import click

from etl.app import App
from etl.logs import set_up_logs
from etl.settings import load_settings
from loaders.open import prepare_driver

P = ParamSpec("P")

GRAVEST_FIRST = (143, 4, 3, 2, 75, 1)

SET_ASIDE_EXIT = 1
"""Exit code of a command that finished with rejected, conflicting or refused parts."""


@dataclass(frozen=True)
class Voice:
    """How a command speaks.

    With ``--json`` one JSON document goes to stdout and people's text to stderr;
    otherwise people's text goes to stdout.
    """

    is_json: bool

    def say(self, text: str = "") -> None:
        """Write one line for a person."""
        click.echo(text, err=self.is_json)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table for a person; numbers to the right."""
        for line in table_lines(headings, [list(row) for row in rows]):
            self.say(line)

    def document(self, document: object) -> None:
        """Write the one JSON document, when it was asked for."""
        if self.is_json:
            click.echo(json.dumps(document, ensure_ascii=False, default=str))


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out a table as lines of text; columns of whole numbers align right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(len(line[n]) for line in [list(headings), *cells]) for n in range(len(headings))
    ]
    right = [
        bool(rows) and all(isinstance(row[n], int) or _is_amount(row[n]) for row in rows)
        for n in range(len(headings))
    ]
    return [
        "  ".join(
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(headings), *cells]
    ]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_amount(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.replace(",", "").lstrip("-").replace(".", "", 1).isdigit()
    )


def gravest(codes: Iterable[int]) -> int:
    """Return the exit code that says most: 4 goes before 3 before 1; no code is 0."""
    found = set(codes)
    return next((code for code in GRAVEST_FIRST if code in found), 0)


executor_option = click.option(
    "--executor",
    help="serial, threads:N, processes:N or dask://HOST:PORT instead of ETL_EXECUTOR.",
)
"""For commands whose work can be shared out; ``with_app`` takes it into the settings."""


def masked(number: str | None) -> str | None:
    """Hide all of a number but its last two digits: ``+31612345678`` is ``…78``."""
    return None if number is None else f"…{number[-2:]}"


def with_app(command: Callable[Concatenate[App, Voice, P], int]) -> Callable[P, int]:
    """Give a command its settings, its log level and its voice, and close it after.

    The command returns its exit code.
    """

    @click.option("--json", "is_json", is_flag=True, help="One JSON document on stdout.")
    @click.option("-v", "--verbose", count=True, help="More detail; up to -vvv.")
    @click.option("--database-url", help="Database instead of ETL_DATABASE_URL.")
    @click.option("--storage", help="Storage folder instead of ETL_STORAGE.")
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        is_json = bool(kwargs.pop("is_json"))
        verbose = kwargs.pop("verbose")
        settings = load_settings(
            database_url=kwargs.pop("database_url"),
            storage=kwargs.pop("storage"),
            executor=kwargs.pop("executor", None),
        )
        prepare_driver(settings.database_url)
        set_up_logs(verbose if isinstance(verbose, int) else 0)
        with App(settings) as app:
            return command(app, Voice(is_json), *args, **kwargs)

    return run
