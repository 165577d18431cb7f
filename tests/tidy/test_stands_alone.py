"""A clone stands alone: no path of one machine, no host of one registry."""

import re
from pathlib import Path

import pytest

from tests.tidy.house import ROOT, name_of, source_files

FOREIGN = re.compile(
    r"(?<![\w.])/work/"
    r"|(?<![\w-])shared/"
    r"|(?<![\w.])/root/"
    r"|/home/\w"
    r"|pypi\.org|pythonhosted|registry\.|index-url",
)

TEXT_ENDINGS = {
    "", ".cfg", ".ini", ".jsonl", ".lock", ".md", ".py", ".sh", ".sql", ".toml", ".txt",
    ".yaml", ".yml", ".service", ".timer", ".csv", ".html",
}  # fmt: skip


def text_files() -> list[Path]:
    this_file = Path(__file__)
    return [
        path for path in source_files() if path.suffix in TEXT_ENDINGS and path != this_file
    ]


@pytest.mark.parametrize("path", text_files(), ids=name_of)
def test_a_file_names_nothing_outside_the_project(path: Path) -> None:
    found = [
        f"line {number}: {line.strip()[:80]}"
        for number, line in enumerate(path.read_bytes().decode("latin-1").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert found == []


def test_what_a_repository_needs_is_there() -> None:
    needed = {
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile",
        "pyproject.toml", "requirements.lock", "requirements-dev.lock", ".ci/run",
        "tools/setup", "docs/architecture.md", "docs/glossary.md",
    }  # fmt: skip
    assert {name for name in needed if not (ROOT / name).is_file()} == set()
