"""The spool: the records of one import, kept on disk between reading and loading.

Effects: writes to a private work folder. Nothing of a delivery is loaded before the whole
of it was read and checked; what was read waits here, so that memory stays at one chunk.

Records that will be loaded are parted by key, so that each part can be sorted in memory
and the parts, one after the other, are the whole delivery in the order of the clustered
key. Where the parts begin is read off the first records, so parts are about equal; a part
that grew too large is given out in pieces, each sorted, which costs speed and nothing else.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import polars as pl

from transforms.errors import StorageError

MOST_PARTS = 256
LARGE_PART = 4
"""A part of more than this many chunks is given out in pieces."""


@dataclass
class _Kind:
    """The file of one kind of records, and where each frame stands in it."""

    file: BinaryIO
    ends: list[int] = field(default_factory=list)
    count: int = 0


class Spool:
    """Frames by kind, in the order they were written."""

    def __init__(self, folder: Path) -> None:
        """Use an empty, private folder."""
        self._folder = folder
        self._kinds: dict[str, _Kind] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Stay open until the import ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files; the folder's owner removes them."""
        with suppress(OSError):  # of a full disk, which was told when it was written to
            self._open.close()

    def write(self, kind: str, frame: pl.DataFrame) -> None:
        """Append one frame."""
        if frame.is_empty():
            return
        into = self._kinds.get(kind) or self._begin(kind)
        with self._disk_trouble():
            # In the oldest form a slice has only its own texts, not its whole frame's.
            frame.write_ipc_stream(into.file, compat_level=pl.CompatLevel.oldest())
            into.ends.append(into.file.tell())
        into.count += frame.height

    def count(self, kind: str) -> int:
        """How many records of a kind there are."""
        return self._kinds[kind].count if kind in self._kinds else 0

    def frames(self, kind: str) -> Iterator[pl.DataFrame]:
        """Read the frames of one kind, one at a time."""
        if kind not in self._kinds:
            return
        with self._disk_trouble():
            self._kinds[kind].file.flush()
        with self._path(kind).open("rb") as file:
            begin = 0
            for end in list(self._kinds[kind].ends):
                yield pl.read_ipc_stream(BytesIO(file.read(end - begin)))
                begin = end

    def _begin(self, kind: str) -> _Kind:
        with self._disk_trouble():
            file = self._open.enter_context(self._path(kind).open("wb"))
        return self._kinds.setdefault(kind, _Kind(file))

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}.arrows"

    @contextmanager
    def _disk_trouble(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pl.exceptions.ComputeError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            message = (
                f"cannot write to the work folder {self._folder.parent}: {why}; an import "
                "needs about the room of the unpacked delivery there. Make room and run "
                "it again"
            )
            raise StorageError(message) from exc


class SortedSpool:
    """Records of one kind, given back in the order of their key."""

    def __init__(
        self, spool: Spool, kind: str, key: list[str], *, chunk_rows: int, parts: int
    ) -> None:
        """Plan a number of parts.

        Args:
            spool: Where the parts are kept.
            kind: What the records are.
            key: Columns to sort by.
            chunk_rows: How many records memory may hold.
            parts: About the number of records to come, divided by ``chunk_rows``.
        """
        self._spool = spool
        self._kind = kind
        self._key = key
        self._chunk_rows = chunk_rows
        self._parts = max(1, min(parts, MOST_PARTS))
        self._borders: pl.DataFrame | None = None

    def write(self, frame: pl.DataFrame) -> None:
        """Append records, in any order."""
        if frame.is_empty():
            return
        ordered = frame.sort(self._key)
        if self._borders is None:
            self._borders = self._read_borders(ordered)
        begin = 0
        for part, end in enumerate([*self._ends(ordered), ordered.height]):
            self._spool.write(self._name(part), ordered.slice(begin, end - begin))
            begin = end

    def count(self) -> int:
        """How many records there are."""
        return sum(self._spool.count(self._name(part)) for part in range(self._parts))

    def as_written(self) -> Iterator[pl.DataFrame]:
        """Read the records in no order, which is quicker."""
        for part in range(self._parts):
            yield from self._spool.frames(self._name(part))

    def frames(self) -> Iterator[pl.DataFrame]:
        """Read the records part by part, each frame sorted by key."""
        for part in range(self._parts):
            held: list[pl.DataFrame] = []
            for frame in self._spool.frames(self._name(part)):
                held.append(frame)
                if sum(each.height for each in held) >= LARGE_PART * self._chunk_rows:
                    yield pl.concat(held).sort(self._key)
                    held = []
            if held:
                yield pl.concat(held).sort(self._key)

    def _name(self, part: int) -> str:
        return f"{self._kind}-{part:03d}"

    def _read_borders(self, ordered: pl.DataFrame) -> pl.DataFrame:
        """Take the keys that cut the first records into equal parts."""
        places = [ordered.height * part // self._parts for part in range(1, self._parts)]
        return ordered.select(self._key)[places]

    def _ends(self, ordered: pl.DataFrame) -> list[int]:
        """Where each part but the last ends: the records with a key below its border."""
        if self._borders is None or self._borders.is_empty():
            return []
        keys = ordered.select(*self._key, pl.lit(1, pl.Int8).alias("is_record"))
        borders = self._borders.with_columns(pl.lit(0, pl.Int8).alias("is_record"))
        merged = pl.concat([keys, borders]).sort([*self._key, "is_record"])
        at = merged.select(pl.arg_where(pl.col("is_record") == 0)).to_series().to_list()
        return [place - borders_before for borders_before, place in enumerate(at)]
