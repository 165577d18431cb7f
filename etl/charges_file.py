"""Reading a CSV file of charges as text; what it means is ``transforms.customer_charges``.

Effects: reads one file.
"""

from difflib import get_close_matches
from pathlib import Path

from etl.csv_rows import NotCsvError, csv_rows
from transforms.customer_charges import COLUMNS, REQUIRED
from transforms.errors import ConfigError


def read_charges_file(path: Path) -> list[dict[str, str]]:
    """Read the rows of a charges file, cells by column.

    Raises:
        ConfigError: When it is no UTF-8 CSV, or its columns are not those of charges.
    """
    try:
        rows = csv_rows(path.read_bytes().decode("utf-8-sig"))
        header = next(rows, (1, []))[1]
        _check(path.name, header)
        return [_row(path.name, at, header, cells) for at, cells in rows if cells]
    except (OSError, UnicodeDecodeError, NotCsvError) as exc:
        message = f"{path.name} is no CSV file in UTF-8 ({type(exc).__name__}); save it so"
        raise ConfigError(message) from exc


def _check(name: str, header: list[str]) -> None:
    faults = [f"column {each} is missing" for each in REQUIRED if each not in header]
    for column in header:
        if column not in COLUMNS:
            near = get_close_matches(column, COLUMNS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            faults.append(f"column {column!r} is unknown{hint}")
    if len(set(header)) < len(header):
        faults.append("a column is there twice")
    if faults:
        message = f"{name} line 1: {'; '.join(faults)}"
        raise ConfigError(message)


def _row(name: str, number: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        message = f"{name} line {number}: {len(cells)} cells under {len(header)} columns"
        raise ConfigError(message)
    return dict(zip(header, cells, strict=True))
