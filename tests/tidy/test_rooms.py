"""The rooms keep to their one job: what each may import, hold and know."""

import ast
import re
from pathlib import Path

import pytest

from tests.tidy.house import (
    imported_modules,
    name_of,
    python_files,
    source_files,
    sql_files,
    texts,
    tree,
)

ONE_DOOR = {
    "httpx": r"etl/extract/https\.py",
    "asyncssh": r"etl/extract/sftp\.py",
    "alembic": r"loaders/(upgrade\.py|migrations/.*)",
    "sqlalchemy": r"loaders/.*",
    "mysql": r"loaders/.*",
    "sqlite3": r"loaders/.*",
}
"""Libraries that are reached through one door, so that they can be replaced there."""

FLOATS_WITH_A_REASON = {
    "loaders/database.py": "seconds to wait before another try",
    "loaders/jobs.py": "seconds of leases and delays",
    "loaders/leases.py": "seconds of leases",
    "loaders/mysql.py": "a server setting in seconds, compared with zero",
    "loaders/sqlite.py": "seconds to wait before another try",
    "transforms/reference.py": "how near a misspelt column is to a known one",
}
"""Files of transforms and loaders where a float is not money, and what it is."""

STATEMENTS_WITH_A_REASON = {
    "loaders/sqlite.py": "the bulk INSERT; table and columns are those of the frame",
}
"""Files that build a statement, because its table or columns are only known then."""

CLOCKS_AND_FILES = {"now", "today", "utcnow", "open", "getenv"}

FLOAT_IN_SQL = re.compile(r"\b(double|float|real|float4|float8)\b", re.IGNORECASE)
QUERY = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|REPLACE\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s"
    r"|WITH\s+\w+\s+AS\s)",
    re.IGNORECASE,
)

every_module = pytest.mark.parametrize("path", python_files(), ids=name_of)


@pytest.mark.parametrize(("library", "door"), ONE_DOOR.items())
def test_a_library_is_imported_behind_its_own_door_only(library: str, door: str) -> None:
    strays = [
        name_of(path)
        for path in python_files()
        if library in imported_modules(path) and not re.fullmatch(door, name_of(path))
    ]
    assert strays == []


@pytest.mark.parametrize("path", python_files("transforms"), ids=name_of)
def test_transforms_read_no_clock_and_open_no_file(path: Path) -> None:
    asked = [
        f"line {node.lineno}: {name}()"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (name := _last_name(node.func)) in CLOCKS_AND_FILES
    ]
    assert asked == []


@pytest.mark.parametrize("path", python_files("transforms", "loaders"), ids=name_of)
def test_no_amount_is_ever_a_float(path: Path) -> None:
    floats = [
        f"line {getattr(node, 'lineno', 0)}"
        for node in ast.walk(tree(path))
        if _is_float(node)
    ]
    assert floats == [] or name_of(path) in FLOATS_WITH_A_REASON


def test_no_statement_knows_a_float() -> None:
    floats = [
        name_of(path)
        for path in sql_files()
        if FLOAT_IN_SQL.search(path.read_text(encoding="utf-8"))
    ]
    assert floats == []


@every_module
def test_sql_is_written_in_the_sql_room(path: Path) -> None:
    if name_of(path).startswith("loaders/migrations/"):
        return  # a migration is its statements
    written = [f"line {line}" for line, text in texts(path) if QUERY.match(text)]
    assert written == [] or name_of(path) in STATEMENTS_WITH_A_REASON


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize(
    "path", [path for path in python_files() if path.name == "__init__.py"], ids=name_of
)
def test_a_name_has_one_address(path: Path) -> None:
    passed_on = imported_modules(path) & {"etl", "loaders", "transforms"}
    assert passed_on == set(), "nothing is re-exported"


def test_every_reason_is_for_a_file_that_still_needs_it() -> None:
    named = {name_of(path): path for path in source_files()}
    floats = {name for name in FLOATS_WITH_A_REASON if not _has_float(named.get(name))}
    queries = {name for name in STATEMENTS_WITH_A_REASON if not _has_query(named.get(name))}
    assert floats | queries == set()


def _has_float(path: Path | None) -> bool:
    return path is not None and any(map(_is_float, ast.walk(tree(path))))


def _has_query(path: Path | None) -> bool:
    return path is not None and any(QUERY.match(text) for _, text in texts(path))


def _is_float(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=float()):
            return True
        case ast.Name(id="float"):
            return True
        case ast.Attribute(attr="Float64" | "Float32" | "Double" | "Float" | "REAL"):
            return True
        case _:
            return False


def _last_name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
