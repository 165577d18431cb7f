"""The spool: frames of one import, kept as Arrow files between reading and loading.

Effects: writes to a private work folder. Nothing of a delivery is loaded before the whole
of it was read and checked; what was read waits here, so that memory stays at one chunk.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl


class Spool:
    """Frames by kind, in the order they were written."""

    def __init__(self, folder: Path) -> None:
        """Use an empty, private folder."""
        self._folder = folder
        self._count = 0

    def write(self, kind: str, frame: pl.DataFrame) -> None:
        """Append one frame; an empty one is not kept."""
        if frame.is_empty():
            return
        frame.write_ipc(self._folder / f"{kind}-{self._count:08d}.arrow")
        self._count += 1

    def frames(self, kind: str, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the frames of one kind again, one at a time."""
        for path in sorted(self._folder.glob(f"{kind}-*.arrow")):
            yield pl.read_ipc(path, columns=columns)
