"""CSV as an operator saves it: rows of text cells, each with the line it begins on.

No effects. One way to cut every CSV file we are given; what is wrong with a file is told
by who reads it.
"""

import csv
import io
from collections.abc import Iterator


class NotCsvError(ValueError):
    """A quote that is never closed, or the like.

    Attributes:
        line: The physical line where it was noticed.
    """

    def __init__(self, line: int, why: str) -> None:
        """Remember the line."""
        super().__init__(why)
        self.line = line


def csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Cut text into rows of cells; the first line decides whether ``;`` or ``,`` separates.

    Yields:
        The physical line a row begins on, from 1, and its cells; blank lines too.

    Raises:
        NotCsvError: When what follows is no CSV.
    """
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise NotCsvError(reader.line_num, str(exc)) from exc


def is_blank(cells: list[str]) -> bool:
    """Whether a row has nothing in it."""
    return not any(cell.strip() for cell in cells)
