"""Each SQL file holds one statement and a header that tells the truth about it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.tidy.house import ROOT, name_of, python_files, sql_files, tree

ENGINES = {"any", "mysql", "sqlite", "duckdb"}
QUESTIONS = {"SELECT", "WITH", "SHOW", "PRAGMA"}
CHANGES = {"INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "WITH"}
HEADER_KEYS = ("reads", "writes", "params", "yields")
QUOTED_OR_COMMENT = re.compile(r"'(?:[^']|'')*'|--[^\n]*")
BOUND = re.compile(r"(?<![:\w\\]):(\w+)")

DATABASE_CALLS = {"execute", "insert", "execute_many", "rows", "row", "frame", "frames"}
"""Methods of a transaction whose first argument is the path of a statement."""

OWN_TALK = "database/"
"""The stage in which each database class sets up its own connections and transactions."""

SPEAKS_ONE_ENGINE = {"loaders/mysql.py": {"mysql"}, "loaders/sqlite.py": {"sqlite"}}
"""Modules that talk to one database; every other module talks to both."""

every_file = pytest.mark.parametrize("path", sql_files(), ids=name_of)


@dataclass(frozen=True)
class Header:
    """The comment above a statement: what it does, then one line for each key."""

    description: str
    keys: dict[str, str]

    def names(self, key: str) -> set[str]:
        """The plain names a key lists; remarks in parentheses are for people."""
        listed = re.sub(r"\([^)]*\)", "", self.keys.get(key, ""))
        names = {name.strip() for name in listed.split(",")}
        return {name for name in names if re.fullmatch(r"\w+", name)} - {"none"}


def header_of(path: Path) -> Header:
    description: list[str] = []
    keys: dict[str, str] = {}
    key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        named = re.match(r"([a-z]+):\s*(.*)", text)
        if named and not line.startswith("--  "):
            key, text = named[1], named[2]
        if key:
            keys[key] = f"{keys.get(key, '')} {text}".strip()
        else:
            description.append(text)
    return Header(" ".join(description), keys)


def bare(path: Path) -> str:
    """The statement without comments and without what stands in quotes."""
    text = path.read_text(encoding="utf-8")
    return QUOTED_OR_COMMENT.sub(
        lambda found: "" if found[0].startswith("--") else "''", text
    ).strip()


def bound_names(path: Path) -> set[str]:
    if engine_of(path) == "duckdb":
        statement = duckdb.extract_statements(path.read_text(encoding="utf-8"))[0]
        return set(statement.named_parameters)
    return set(BOUND.findall(bare(path)))


def engine_of(path: Path) -> str:
    return path.relative_to(ROOT / "sql").parts[0]


def key_of(path: Path) -> str:
    """The path of a statement as callers say it, without engine and ending."""
    return path.relative_to(ROOT / "sql" / engine_of(path)).with_suffix("").as_posix()


def keys_of(engine: str) -> set[str]:
    return {key_of(path) for path in sql_files() if engine_of(path) == engine}


@every_file
def test_a_statement_lives_in_the_folder_of_its_engine_and_stage(path: Path) -> None:
    parts = path.relative_to(ROOT / "sql").parts
    assert parts[0] in ENGINES
    assert len(parts) == 3, "sql/<engine>/<stage>/<name>.sql"


@every_file
def test_a_file_holds_one_statement(path: Path) -> None:
    statement = bare(path)
    assert statement.count(";") == 1, "one statement, closed by its semicolon"
    assert statement.endswith(";")
    if engine_of(path) == "duckdb":
        assert len(duckdb.extract_statements(path.read_text(encoding="utf-8"))) == 1


@every_file
def test_a_header_says_what_the_statement_does(path: Path) -> None:
    header = header_of(path)
    assert header.description.endswith("."), "first a sentence"
    assert set(header.keys) <= set(HEADER_KEYS)
    words = re.findall(r"\w+", bare(path).upper())
    if words[0] in CHANGES and CHANGES & set(words) != {"WITH"}:
        assert header.keys.get("writes"), "a change says what it writes"
    elif words[0] in QUESTIONS:
        assert header.keys.get("yields"), "a question says what it yields"


@every_file
def test_the_params_of_a_header_are_the_ones_the_statement_binds(path: Path) -> None:
    assert header_of(path).names("params") == bound_names(path)


@every_file
def test_the_tables_of_a_header_are_in_the_statement(path: Path) -> None:
    header = header_of(path)
    statement = bare(path)
    named = header.names("reads") | header.names("writes")
    assert {name for name in named if not re.search(rf"\b{name}\b", statement)} == set()


def test_what_one_database_asks_in_its_own_words_the_other_can_ask_too() -> None:
    mysql, sqlite, portable = keys_of("mysql"), keys_of("sqlite"), keys_of("any")
    alone = (mysql ^ sqlite) - portable
    assert {key for key in alone if not key.startswith(OWN_TALK)} == set()


def test_every_statement_asked_for_exists() -> None:
    known = {f"{engine_of(path)}/{key_of(path)}" for path in sql_files()}
    asked = [*asked_by_path(), *asked_by_key()]
    missing = [f"{where}: {path}" for where, path in asked if path not in known]
    assert missing == []


def test_every_statement_is_asked_for_somewhere() -> None:
    spoken = {text for text, is_pattern in said_in_code() if not is_pattern}
    patterns = [re.compile(text) for text, is_pattern in said_in_code() if is_pattern]
    unused = [
        name_of(path)
        for path in sql_files()
        for names in ({key_of(path), f"{engine_of(path)}/{key_of(path)}"},)
        if not names & spoken
        and not any(pattern.fullmatch(name) for pattern in patterns for name in names)
    ]
    assert unused == []


def asked_by_path() -> Iterator[tuple[str, str]]:
    """Whole paths handed to ``statement``."""
    for where, function, argument in _calls():
        if function == "statement":
            yield where, argument


def asked_by_key() -> Iterator[tuple[str, str]]:
    """Keys handed to a transaction, once for each engine that must know them."""
    portable = keys_of("any")
    for where, function, argument in _calls():
        if function in DATABASE_CALLS and "/" in argument:
            for engine in SPEAKS_ONE_ENGINE.get(where.split(":")[0], {"mysql", "sqlite"}):
                own = argument in keys_of(engine)
                is_portable = argument in portable and not own
                yield where, f"{'any' if is_portable else engine}/{argument}"


def _calls() -> Iterator[tuple[str, str, str]]:
    for path in python_files():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield f"{name_of(path)}:{node.lineno}", _called(node), first.value


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


def said_in_code() -> Iterator[tuple[str, bool]]:
    """Every string that may name a statement, and every f-string as a pattern.

    An f-string that starts with a value could name anything, so it counts for nothing.
    """
    for path in python_files():
        for node in ast.walk(tree(path)):
            match node:
                case ast.Constant(value=str(text)):
                    yield text, False
                case ast.JoinedStr(values=[ast.Constant(value=str(start)), *rest]):
                    if "/" in start:
                        yield re.escape(start) + "".join(map(_pattern, rest)), True


def _pattern(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return re.escape(str(part.value))
    return r"\w+"


def test_a_file_left_out_of_the_style_check_exists() -> None:
    lines = (ROOT / ".sqlfluffignore").read_text(encoding="utf-8").splitlines()
    left_out = [line for line in lines if line and not line.startswith("#")]
    assert [name for name in left_out if not (ROOT / name).is_file()] == []
