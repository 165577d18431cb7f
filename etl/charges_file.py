"""Reading a CSV file of charges as text; what it means is ``transforms.customer_charges``.

Effects: reads one file.
"""

import csv
from difflib import get_close_matches
from pathlib import Path

from transforms.customer_charges import COLUMNS, REQUIRED
from transforms.errors import ConfigError


def read_charges_file(path: Path) -> list[dict[str, str]]:
    """Read the rows of a charges file, cells by column.

    Raises:
        ConfigError: When it is no UTF-8 CSV, or its columns are not those of charges.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            _check(path.name, header)
            return [
                _row(path.name, number, header, cells)
                for number, cells in enumerate(reader, start=2)
                if cells
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
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
