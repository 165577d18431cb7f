"""The spool: the records of one import, kept on disk between reading and loading.

Effects: writes to a private work folder. Nothing of a delivery is loaded before the whole
of it was read and checked; what was read waits here, so that memory stays at one chunk.

Records that will be loaded are parted by key, so that each part can be sorted in memory
and the parts, one after the other, are the whole delivery in the order of the clustered
key. Where the parts begin is read off the first records, so parts are about equal; a part
that grew too large is given out in pieces, each sorted, which costs speed and nothing else.

Half of a provider's columns hold the same in every record. They are neither sorted nor
written: what they hold is kept in memory, once for each frame.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import polars as pl

from transforms.errors import StorageError
from transforms.met_before import is_among

MOST_PARTS = 256
MANY_ROWS = 1000
"""From so many rows on it is worth a look which columns hold the same in all of them."""
LARGE_PART = 4
"""A part of more than this many chunks is given out in pieces."""


@dataclass(frozen=True)
class Once:
    """What is the same in all rows of a frame.

    Attributes:
        values: One row of the columns that are.
        names: All columns of the frame, in their order.
    """

    values: pl.DataFrame
    names: tuple[str, ...]

    def differing(self, columns: list[str]) -> list[str]:
        """Return those of some columns that are not the same in all rows, one at least."""
        rest = [name for name in columns if name not in self.values.columns]
        # A column is needed, so that the rows can be counted.
        return rest or [name for name in self.names if name not in self.values.columns][:1]

    @cached_property
    def written(self) -> dict[str, pl.Expr]:
        """The values as they are put into a frame; the parts of one chunk share them."""
        return {
            column.name: pl.lit(column.item(), column.dtype).alias(column.name)
            for column in self.values.get_columns()
        }

    def with_rows(self, rows: pl.DataFrame, columns: Sequence[str] = ()) -> pl.DataFrame:
        """Put what is the same in all rows beside what differs; all columns, or some."""
        names = columns or self.names
        once = [self.written[name] for name in names if name in self.written]
        return rows.with_columns(once).select(names) if once else rows.select(names)


@dataclass(frozen=True)
class Parted:
    """A frame in two: the columns that differ from row to row, and the others."""

    rows: pl.DataFrame
    once: Once

    @classmethod
    def of(cls, frame: pl.DataFrame, key: Sequence[str] = ()) -> Self:
        """Part a frame of many rows; the columns of ``key`` stay in the rows."""
        same = []
        if frame.height >= MANY_ROWS:
            same = [
                column.name
                for column in frame.get_columns()
                if column.name not in key and _is_same(column)
            ]
        if len(same) == frame.width:
            same = same[1:]
        schema = {name: frame.schema[name] for name in same}
        # Made anew: a slice of one row would keep the memory of all of them.
        values = pl.DataFrame({name: [frame[name][0]] for name in same}, schema)
        once = Once(values, tuple(frame.columns))
        return cls(frame.drop(same), once)

    def slice(self, begin: int, count: int) -> Self:
        """Take some rows."""
        return replace(self, rows=self.rows.slice(begin, count))


def _is_same(column: pl.Series) -> bool:
    if column.null_count():
        return column.null_count() == len(column)
    first = column[0]
    # Most columns that differ do so in these two already.
    return bool(column[-1] == first) and bool((column == first).all())


@dataclass(frozen=True)
class Piece:
    """One frame of a file: where it ends, and what stands beside its rows."""

    end: int
    once: Once


@dataclass
class _Kind:
    """The file of one kind of records, and the frames in it."""

    file: BinaryIO
    pieces: list[Piece] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True)
class Spooled:
    """What a spool that was closed holds of one kind: its frames, and how many rows."""

    pieces: tuple[Piece, ...]
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
        self.write_parted(kind, Parted.of(frame))

    def write_parted(self, kind: str, parted: Parted) -> None:
        """Append one frame that was looked at already."""
        if parted.rows.is_empty():
            return
        into = self._kinds.get(kind) or self._begin(kind)
        with self._disk_trouble():
            # In the oldest form a slice has only its own texts, not its whole frame's.
            parted.rows.write_ipc_stream(into.file, compat_level=pl.CompatLevel.oldest())
            into.pieces.append(Piece(into.file.tell(), parted.once))
        into.count += parted.rows.height

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
            for piece in list(self._kinds[kind].pieces):
                rows = pl.read_ipc_stream(
                    BytesIO(file.read(piece.end - begin)),
                    columns=None if columns is None else piece.once.differing(columns),
                )
                yield piece.once.with_rows(rows, columns or ())
                begin = piece.end

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
        parted = []
        with pa.memory_map(str(self._path(kind))) as file:
            begin = 0
            for piece in self._kinds[kind].pieces:
                file.seek(begin)
                parted.append(Parted(pl.DataFrame(pa.ipc.open_stream(file)), piece.once))
                begin = piece.end
            keys = pl.concat(each.once.with_rows(each.rows, [column]) for each in parted)
            yield _of_its_own(_taken(parted, is_among(keys.to_series(), values)))

    def spooled(self) -> dict[str, Spooled]:
        """What there is, for another spool to take over once this one is closed."""
        return {
            kind: Spooled(tuple(each.pieces), each.count)
            for kind, each in self._kinds.items()
        }

    def take_over(self, folder: Path, spooled: Mapping[str, Spooled]) -> None:
        """Move in what a closed spool of another process left in its folder."""
        for kind, left in spooled.items():
            with self._disk_trouble():
                (folder / self._path(kind).name).rename(self._path(kind))
            self._kinds[kind] = _Kind(self._opened(kind), list(left.pieces), left.count)

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
        parted = Parted.of(frame, self._key)
        ordered = replace(parted, rows=parted.rows.sort(self._key))
        if self._borders is None:
            self._borders = self._read_borders(ordered.rows)
        begin = 0
        for part, end in enumerate([*self._ends(ordered.rows), frame.height]):
            self._spool.write_parted(self._name(part), ordered.slice(begin, end - begin))
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


def _taken(parted: Iterable[Parted], is_wanted: pl.Series) -> pl.DataFrame:
    """Take the wanted rows out of frames that lie one after the other."""
    taken = []
    begin = 0
    for each in parted:
        wanted = is_wanted.slice(begin, each.rows.height)
        taken.append(each.once.with_rows(each.rows.filter(wanted)))
        begin += each.rows.height
    return pl.concat(taken)


def _of_its_own(frame: pl.DataFrame) -> pl.DataFrame:
    """Copy rows out of the many they were taken from, whose texts memory would keep."""
    copied = BytesIO()
    frame.write_ipc_stream(copied, compat_level=pl.CompatLevel.oldest())
    copied.seek(0)
    return pl.read_ipc_stream(copied)
