"""The SQL room: one statement per file, found by its path.

``statement("any/queue/claim")`` returns the text of ``sql/any/queue/claim.sql``.
Folders name the engine that runs a file: ``any`` (the portable subset, run on both
stores), ``mysql``, ``sqlite``, ``duckdb``.
"""

from functools import cache
from importlib.resources import files


@cache
def statement(path: str) -> str:
    """Return the one statement kept at ``path``, header comment included.

    Args:
        path: Folder and name without the ending, such as ``"mysql/queue/claim"``.

    Raises:
        FileNotFoundError: When no file has that path.
    """
    return files(__name__).joinpath(f"{path}.sql").read_text(encoding="utf-8")
