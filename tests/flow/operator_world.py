"""A desk for an operator: gives ``etl`` commands as a person does.

A command runs in this process, which is quick; one that must be killed, or go on beside
others, gets a process of its own.
"""

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from etl.cli import _one_line_errors, cli
from tests import forked


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        read: dict[str, Any] = json.loads(self.out)
        return read


@dataclass(frozen=True)
class Desk:
    """Where an operator sits: a database, a storage folder, and a short lease."""

    url: str
    folder: Path
    lease_s: int = 1

    @property
    def settings(self) -> dict[str, str]:
        """The settings of every command, as the environment gives them."""
        return {
            "ETL_DATABASE_URL": self.url,
            "ETL_STORAGE": str(self.folder / "storage"),
            "ETL_LEASE_SECONDS": str(self.lease_s),
            # Small pages, so that a few records make several commits.
            "ETL_CHUNK_ROWS": "50",
            "ETL_BATCH_ROWS": "4",
            "ETL_BATCHES_PER_COMMIT": "2",
        }

    def etl(self, *words: str) -> Ended:
        """Give a command in this process."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ, self.settings),
            patch.object(sys, "argv", ["etl", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                with _one_line_errors():
                    code = cli.main(list(words), standalone_mode=False) or 0
            except SystemExit as end:
                code = int(end.code or 0)
        return Ended(code, out.getvalue(), err.getvalue())

    def killed(self, *words: str, faults: str) -> Ended:
        """Give a command in a process of its own that meets its end at a fault."""
        ended = forked.run("etl", *words, env=self.environment, faults=faults, timeout=60)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def begin(self, *words: str, faults: str = "") -> forked.Forked:
        """Give a command in a process of its own, and go on at once."""
        return forked.start("etl", *words, env=self.environment, faults=faults)

    @property
    def environment(self) -> dict[str, str]:
        """What such a process gets."""
        return {**os.environ, **self.settings}
