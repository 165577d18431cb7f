"""The spool: the records of one import, kept on disk between reading and loading.

Effects: writes to a private work folder. Nothing of a delivery is loaded before the whole
of it was read and checked; what was read waits here, so that memory stays at one chunk.

Records that will be loaded are parted by key, so that each part can be sorted in memory
and the parts, one after the other, are the whole delivery in the order of the clustered
key. Where the parts begin is read off the first records, so parts are about equal; a part
that grew too large is given out in pieces, each sorted, which costs speed and nothing else.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import polars as pl

from transforms.errors import StorageError
from transforms.met_before import is_among

if TYPE_CHECKING:
    import pyarrow as pa

MOST_PARTS = 256
LARGE_PART = 4
"""A part of more than this many chunks is given out in pieces."""


@dataclass
class _Kind:
    """The file of one kind of records, and where each frame stands in it."""

    file: BinaryIO
    ends: list[int] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True)
class Spooled:
    """What a spool that was closed holds of one kind: where each frame ends, and rows."""

    ends: tuple[int, ...]
    count: int


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

    def frames(self, kind: str, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the frames of one kind, or only some columns of them, one at a time."""
        if kind not in self._kinds:
            return
        with self._disk_trouble():
            self._kinds[kind].file.flush()
        with self._path(kind).open("rb") as file:
            begin = 0
            for end in list(self._kinds[kind].ends):
                yield pl.read_ipc_stream(BytesIO(file.read(end - begin)), columns=columns)
                begin = end

    def among(self, kind: str, column: str, values: pl.Series) -> Iterator[pl.DataFrame]:
        """Read only the records of a kind that have one of some sorted values.

        The file is looked at where it lies, so few records of many cost little.
        """
        # Not at the top: MySQL's driver has to be loaded before it (loaders.open).
        import pyarrow as pa
        import pyarrow.ipc

        if kind not in self._kinds:
            return
        with self._disk_trouble():
            self._kinds[kind].file.flush()
        with pa.memory_map(str(self._path(kind))) as file:
            tables = []
            for begin in [0, *self._kinds[kind].ends[:-1]]:
                file.seek(begin)
                tables.append(pa.ipc.open_stream(file).read_all())
            parts = [part for each in tables for part in each[column].chunks]
            is_wanted = is_among(pl.Series(pa.chunked_array(parts)), values)
            yield pl.DataFrame(_taken(tables, is_wanted))

    def spooled(self) -> dict[str, Spooled]:
        """What there is, for another spool to take over once this one is closed."""
        return {
            kind: Spooled(tuple(each.ends), each.count)
            for kind, each in self._kinds.items()
        }

    def take_over(self, folder: Path, spooled: Mapping[str, Spooled]) -> None:
        """Move in what a closed spool of another process left in its folder."""
        for kind, left in spooled.items():
            with self._disk_trouble():
                (folder / self._path(kind).name).rename(self._path(kind))
            self._kinds[kind] = _Kind(self._opened(kind), list(left.ends), left.count)

    def _begin(self, kind: str) -> _Kind:
        return self._kinds.setdefault(kind, _Kind(self._opened(kind)))

    def _opened(self, kind: str) -> BinaryIO:
        with self._disk_trouble():
            return self._open.enter_context(self._path(kind).open("ab"))

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

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return self._parts

    def count(self) -> int:
        """How many records there are."""
        return sum(self._spool.count(self._name(part)) for part in range(self._parts))

    def among(self, column: str, values: pl.Series) -> Iterator[pl.DataFrame]:
        """Read only the records that have one of some sorted values, in no order."""
        for part in range(self._parts):
            yield from self._spool.among(self._name(part), column, values)

    def frames(self, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the records part by part, each frame sorted by key.

        Args:
            columns: Only these; the columns of the key are among them.
        """
        for part in range(self._parts):
            held: list[pl.DataFrame] = []
            for frame in self._spool.frames(self._name(part), columns):
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


def _taken(tables: "list[pa.Table]", is_wanted: pl.Series) -> "pa.Table":
    """Take the wanted rows out of tables that lie one after the other."""
    import pyarrow as pa

    taken = [tables[0].slice(0, 0)]
    begin = 0
    for table in tables:
        places = is_wanted.slice(begin, table.num_rows).arg_true()
        taken.append(table.take(places.to_arrow()))
        begin += table.num_rows
    return pa.concat_tables(taken)
