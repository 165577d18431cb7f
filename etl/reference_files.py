"""Reference files: read a folder of CSV and TOML into checked reference data.

Effects: reads files, nothing else. What the texts mean is decided in
``transforms/reference.py``; this module only opens, decodes and cuts them.
"""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from etl.csv_rows import NotCsvError, csv_rows, is_blank
from etl.rate_plan_files import rate_plan_text
from transforms.errors import ConfigError
from transforms.reference import CsvFile, Line, RatePlanText, Reference, parse_reference

CUSTOMERS_FILE: Final = "customers.csv"
SUBSCRIPTIONS_FILE: Final = "subscriptions.csv"
SYNC_PROFILES_FILE: Final = "sync_profiles.toml"
CUSTOMER_RATE_PLANS_FILE: Final = "customer_rate_plans.csv"
RATE_PLANS_FOLDER: Final = "rate_plans"
EXPECTED: Final = (
    CUSTOMERS_FILE,
    SUBSCRIPTIONS_FILE,
    SYNC_PROFILES_FILE,
    CUSTOMER_RATE_PLANS_FILE,
    RATE_PLANS_FOLDER,
)


def read_reference(folder: Path, *, providers: Iterable[str] = ()) -> Reference:
    """Read and check the reference files of a folder; each of them may be absent.

    Args:
        folder: Holds ``customers.csv``, ``subscriptions.csv``, ``sync_profiles.toml``,
            ``customer_rate_plans.csv`` and ``rate_plans/`` with a TOML file for each plan.
        providers: The known profile ids, against which sync profiles are checked.

    Raises:
        ConfigError: When the folder holds none of the files, a file that looks like a
            misspelt one, or anything that is wrong inside a file.
    """
    _check_folder(folder)
    return parse_reference(
        _read_csv(folder / CUSTOMERS_FILE),
        _read_csv(folder / SUBSCRIPTIONS_FILE),
        _read_toml(folder / SYNC_PROFILES_FILE),
        providers=providers,
        rate_plans=_read_rate_plans(folder / RATE_PLANS_FOLDER),
        customer_rate_plans=_read_csv(folder / CUSTOMER_RATE_PLANS_FILE),
    )


def _read_rate_plans(folder: Path) -> tuple[RatePlanText, ...] | None:
    """Read every plan of the folder; decks are in folders below it, or beside them."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        message = f"{folder}: must be a folder with one TOML file for each rate plan"
        raise ConfigError(message)
    return tuple(rate_plan_text(path) for path in sorted(folder.glob("*.toml")))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        message = f"{folder} is not a folder; give the folder that holds {_listed()}"
        raise ConfigError(message)
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        near = get_close_matches(name, EXPECTED, n=1, cutoff=0.85)
        if name not in EXPECTED and near and near[0] not in names:
            message = f"{folder / name}: unknown file; did you mean {near[0]}?"
            raise ConfigError(message)
    if not set(names) & set(EXPECTED):
        message = f"{folder} holds no reference data; expected one or more of {_listed()}"
        raise ConfigError(message)


def _listed() -> str:
    return ", ".join(EXPECTED)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        message = f"{path}: byte {exc.start} is not UTF-8; save the file as UTF-8"
        raise ConfigError(message) from exc
    except OSError as exc:
        message = f"{path}: cannot be read: {exc.strerror}"
        raise ConfigError(message) from exc


def _read_toml(path: Path) -> tuple[str, dict[str, object]] | None:
    if not path.exists():
        return None
    try:
        return path.name, tomllib.loads(_read_text(path))
    except tomllib.TOMLDecodeError as exc:
        message = f"{path}: is not TOML: {exc}"
        raise ConfigError(message) from exc


def _read_csv(path: Path) -> CsvFile | None:
    """Cut a CSV file into cells."""
    if not path.exists():
        return None
    rows = csv_rows(_read_text(path))
    try:
        columns = _header(path, next(rows, (1, []))[1])
        lines = [_line(at, cells, columns) for at, cells in rows if not is_blank(cells)]
    except NotCsvError as exc:
        message = f"{path.name} line {exc.line}: is not CSV: {exc}"
        raise ConfigError(message) from exc
    return CsvFile(path.name, columns, lines)


def _header(path: Path, cells: list[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if not columns or doubled or "" in columns:
        fault = f"column {doubled[0]!r} stands twice" if doubled else "a name is missing"
        message = f"{path.name} line 1: the header is not right: {fault}"
        raise ConfigError(message)
    return columns


def _line(number: int, cells: list[str], columns: tuple[str, ...]) -> Line:
    if len(cells) == len(columns):
        return Line(number, dict(zip(columns, cells, strict=True)))
    fault = f"has {len(cells)} cells where the header has {len(columns)}"
    return Line(number, {}, fault)
