"""Rate plan files: find a plan, read it with its decks, and hash what was read.

Effects: reads files. What the texts mean is decided in ``transforms.rate_plan_reading``.
The version of a plan is the hash of its own bytes and of every file it names, so that a
changed prefix is a changed plan.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

from etl.csv_rows import NotCsvError, csv_rows, is_blank
from transforms.document import did_you_mean
from transforms.errors import ConfigError
from transforms.rate_plan import RatePlan
from transforms.rate_plan_reading import named_files, parse_rate_plan
from transforms.reference import CsvFile, Line, RatePlanText

LARGEST_FILE = 256 * 1024 * 1024
"""No deck may be larger; a wrong name should not fill the memory."""


def load_rate_plan(plan: str) -> RatePlan:
    """Return a rate plan.

    Args:
        plan: The path of its TOML file, or the id of one that ships with the package.

    Raises:
        ConfigError: When there is no such plan (near misses are named) or it is faulty.
    """
    if plan.endswith(".toml"):
        return load_rate_plan_file(Path(plan))
    with _shipped() as folder:
        known = sorted(path.stem for path in folder.glob("*.toml"))
        if plan in known:
            return load_rate_plan_file(folder / f"{plan}.toml")
    hint = did_you_mean(plan, known) or f" (shipped: {', '.join(known)}; or FILE.toml)"
    message = f"there is no rate plan {plan!r}{hint}"
    raise ConfigError(message)


def load_rate_plan_file(path: Path) -> RatePlan:
    """Read one plan with the decks and price lists beside it.

    Raises:
        ConfigError: When a file cannot be read, the plan is no TOML, is faulty, or has
            another id than its name.
    """
    plan, _content_and_files = _load(path)
    return plan


def rate_plan_text(path: Path) -> RatePlanText:
    """Read one plan and check it, and keep the texts it was read from.

    Raises:
        ConfigError: As :func:`load_rate_plan_file` does.
    """
    plan, (content, named) = _load(path)
    files = {
        name: part.decode("utf-8")
        for name, part in named.items()
        if not isinstance(part, str)
    }
    document = json.dumps(
        {"plan": content.decode("utf-8"), "files": files}, ensure_ascii=False
    )
    return RatePlanText(
        plan.id, plan.sha256, plan.currency, plan.valid_from, plan.valid_to, document
    )


def stored_rate_plan(document: str) -> RatePlan:
    """Read a plan from the texts that :func:`rate_plan_text` kept.

    Raises:
        ConfigError: When this version of the program finds a fault in it.
    """
    kept = json.loads(document)
    named = {name: text.encode() for name, text in kept["files"].items()}
    return _parsed(kept["plan"].encode(), named)


def _load(path: Path) -> tuple[RatePlan, tuple[bytes, Mapping[str, bytes | str]]]:
    try:
        content = path.read_bytes()
        document = tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
    except OSError as exc:
        message = f"rate plan {path} cannot be read: {exc.strerror}"
        raise ConfigError(message) from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        message = f"rate plan {path} is no TOML: {exc}"
        raise ConfigError(message) from exc
    named = {name: _content(path.parent, name) for name in named_files(document)}
    plan = _parsed(content, named)
    if plan.id != path.stem:
        message = f"rate plan {path} has id {plan.id!r}: it must be named like its file"
        raise ConfigError(message)
    return plan, (content, named)


def _parsed(content: bytes, named: Mapping[str, bytes | str]) -> RatePlan:
    document = tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
    tables = {
        name: found if isinstance(found, str) else _table(name, found)
        for name, found in named.items()
    }
    return parse_rate_plan(document, tables, _version(content, named))


def read_csv_file(path: Path) -> CsvFile:
    """Read one CSV file as text cells.

    Raises:
        ConfigError: When it cannot be read or is no CSV.
    """
    found = _content(path.parent, path.name)
    table = found if isinstance(found, str) else _table(path.name, found)
    if isinstance(table, str):
        message = f"{path} {table}"
        raise ConfigError(message)
    return table


def _version(content: bytes, named: Mapping[str, bytes | str]) -> str:
    """Hash every part with its name and its length, so that none runs into the next."""
    digest = hashlib.sha256()
    parts = [("", content), *sorted(named.items())]
    for name, part in parts:
        body = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(name)}:{name}{len(body)}:".encode())
        digest.update(body)
    return digest.hexdigest()


def _content(folder: Path, name: str) -> bytes | str:
    """Return the bytes of a file below the plan's folder, or why it is not read."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        return "must be a path below the folder of the plan"
    path = folder / pure
    try:
        if path.stat().st_size > LARGEST_FILE:
            return f"is larger than {LARGEST_FILE // 1024**2} MB"
        return path.read_bytes()
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"


def _table(name: str, content: bytes) -> CsvFile | str:
    """Cut a CSV file into cells, or say why not."""
    try:
        rows = csv_rows(content.decode("utf-8-sig"))
        columns = tuple(cell.strip() for cell in next(rows, (1, []))[1])
        doubled = sorted({column for column in columns if columns.count(column) > 1})
        if doubled or "" in columns or not columns:
            return f"has a header that is not right: {list(columns)!r}"[:200]
        lines = [line for at, cells in rows for line in _line(at, cells, columns)]
    except UnicodeDecodeError as exc:
        return f"is not UTF-8 at byte {exc.start}; save it as UTF-8"
    except NotCsvError as exc:
        return f"is not CSV at line {exc.line}: {exc}"
    return CsvFile(name, columns, lines)


def _line(number: int, cells: list[str], columns: tuple[str, ...]) -> list[Line]:
    """One row as a line; a blank one is none."""
    if len(cells) == len(columns):
        return [Line(number, dict(zip(columns, cells, strict=True)))]
    fault = f"has {len(cells)} cells where the header has {len(columns)}"
    return [] if is_blank(cells) else [Line(number, {}, fault)]


@contextmanager
def _shipped() -> Iterator[Path]:
    with as_file(files("etl") / "rate_plans") as folder:
        yield folder
