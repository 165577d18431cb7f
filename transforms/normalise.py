"""Normalise: from the text a provider wrote to the records this house reckons with.

Pure, and the only room that knows provider columns. Chunk after chunk of one member comes
in as TEXT frames; each row goes out exactly once: accepted as a RECORD, rejected with a
reason, ignored by rule, or read as a control record.

Reads top to bottom: sort the rows, read the cells, read usage, direction, numbers, time,
quantity and price apart from each other, choose the first fault of each row, and name the
good ones by their dedupe key.

Every step works on whole columns. What ``file_order`` needs from the chunk before is the
only state, so how a member is cut into chunks changes nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from transforms.amount import read_micros
from transforms.cdr import RECORD, REJECTED, TEXT_LIMITS, Schema, require
from transforms.cells import Cells, with_cells
from transforms.control import Tally
from transforms.fingerprint import Hasher, KeyKind, key_texts
from transforms.local_time import Before, period_of
from transforms.measured import (
    Bounds,
    Counted,
    Priced,
    TimeCells,
    cell_name,
    read_price,
    read_quantity,
    read_time,
)
from transforms.part import Part, fault_where, faults_of, flags_of
from transforms.parties import Sides, read_parties
from transforms.profile import FILE_WORDS, Column, Layout, Profile, Source
from transforms.reasons import with_reasons
from transforms.sorting import sort_rows

ACCEPTED: Final[Schema] = {
    **RECORD,
    "raw": pl.String(),
    "price_decimals": pl.Int32(),
}
"""A RECORD with its text as delivered and the decimals its price was written with."""

_COPIED: Final = tuple(
    name for name in TEXT_LIMITS if name not in ("subscriber", "other", "account")
)
"""Columns that are copied from their cell as they are."""

_IDENTIFYING: Final = ("record_id", "account", "invoice_no", *FILE_WORDS)
"""Key words that must be there. That a record has no B-number or no price is a fact about
it and may stand in a key; that it has no id means the key says nothing."""


@dataclass(frozen=True)
class DeliveryName:
    """What a file name says of its delivery; None for what it does not say."""

    account: str | None = None
    period: str | None = None
    seq: str | None = None


def delivery_name(source: Source, file_name: str) -> DeliveryName:
    """Read account, period and sequence number out of a file name.

    ``CDR_10001_202610.zip`` of RoutIT is account 10001 and period 202610.

    Args:
        source: The profile's ``[source]``.
        file_name: Without folders.
    """
    found = re.search(source.filename_regex, file_name) if source.filename_regex else None
    groups = found.groupdict() if found else {}
    return DeliveryName(groups.get("account"), groups.get("period"), groups.get("seq"))


@dataclass(frozen=True)
class Normalised:
    """What one chunk became.

    Attributes:
        accepted: ACCEPTED, in file order.
        rejected: ``cdr.REJECTED``, in file order.
        ignored: Rows set aside by rule.
        tally: What the physical records add up to, and the control records among them.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int
    tally: Tally


class Normaliser:
    """Reads the TEXT frames of one member, one after the other."""

    def __init__(
        self,
        profile: Profile,
        layout: Layout,
        name: DeliveryName,
        *,
        latest_utc: datetime | None = None,
    ) -> None:
        """Start before the first row of a member.

        Args:
            profile: Whose delivery this is.
            layout: How this member is written.
            name: What the delivery's file name says.
            latest_utc: A record more than a day after this is rejected; None: no check.
        """
        if latest_utc is not None and latest_utc.tzinfo is not None:
            latest_utc = latest_utc.astimezone(UTC).replace(tzinfo=None)
        period = period_of(name.period, profile.source.accept_late_days)
        self._profile = profile
        self._layout = layout
        self._name = name
        self._bounds = Bounds(period, latest_utc)
        self._before = Before()
        self._hasher = Hasher()

    def read(self, text: pl.DataFrame) -> Normalised:
        """Read the next chunk.

        Args:
            text: ``line_no``, ``raw`` and the ``c:`` columns of a delimited layout.
        """
        rows = sort_rows(with_cells(text, self._layout), self._layout)
        cells = read_cells(rows.records, self._layout)
        parts, priced = self._read_parts(cells)
        faults = faults_of(parts)
        records = _assembled(rows.records, parts, faults)
        is_good = faults["reason_code"].is_null()
        accepted = records if is_good.all() else records.filter(is_good)
        faulty = pl.concat(
            [rows.records.select("line_no", "raw"), faults], how="horizontal"
        ).filter(~is_good)
        return Normalised(
            accepted=require(self._named(accepted), ACCEPTED, "normalise"),
            rejected=_rejected(pl.concat([rows.unusable, faulty])),
            ignored=rows.ignored,
            tally=self._tally(rows.unusable, cells, priced, rows.records["line_no"])
            + Tally(marks=rows.marks),
        )

    # --- the parts of a record ------------------------------------------------------------

    def _read_parts(self, cells: pl.DataFrame) -> tuple[list[Part], Priced]:
        layout = self._layout
        usage, direction = read_usage(cells, layout), read_direction(cells, layout)
        own_is_b = (direction.columns["direction"] == "in") & (layout.party == "a_b")
        sides = Sides(cells["a_number"], cells["b_number"], own_is_b.fill_null(value=False))
        time, self._before = read_time(
            _time_cells(cells, layout), layout, self._bounds, self._before
        )
        quantity = read_quantity(_counted(cells, usage, time), layout)
        priced = read_price(cells["amount"], _is_unrated(cells, layout), layout)
        parts = [
            usage,
            direction,
            read_parties(sides, layout),
            time,
            quantity,
            priced.part,
            self._texts(cells),
        ]
        return [
            *parts,
            _lengths(parts),
            _correction(parts, layout),
            self._key(parts),
        ], priced

    def _texts(self, cells: pl.DataFrame) -> Part:
        """Copy the texts of the record; translate the part state."""
        columns = {name: cells[name] for name in _COPIED}
        columns["currency"] = _constant(self._layout.money.currency, cells.height)
        columns["account"] = cells["account"]
        if "account" not in self._layout.columns:
            columns["account"] = _constant(self._name.account, cells.height)
        states = self._layout.partial.states
        if not states:
            return Part(columns)
        written = cells["part_state"]
        state = written.replace_strict(states, default=None, return_dtype=pl.String)
        is_unknown = written.is_not_null() & state.is_null()
        fault = fault_where(is_unknown, "unknown_part_state", written)
        return Part({**columns, "part_state": state}, (fault,))

    # --- the key --------------------------------------------------------------------------

    def _key(self, parts: Sequence[Part]) -> Part:
        """Find the records whose key lacks a word: they fall back, or have no key."""
        columns = _columns_of(parts)
        rows = len(columns["usage_type"])
        lacking = _constant(None, rows)
        for word in reversed(self._layout.dedupe.key):
            if word in _IDENTIFYING:
                is_missing = self._word(word, columns, rows).is_null()
                lacking = _constant(word, rows).zip_with(is_missing, lacking)
        falls_back = lacking.is_not_null()
        if self._layout.dedupe.fallback:
            return Part({"falls_back": falls_back}, flags={"dedupe_fallback": falls_back})
        return Part(
            {"falls_back": falls_back}, (fault_where(falls_back, "no_key", lacking),)
        )

    def _word(self, word: str, columns: Mapping[str, pl.Series], rows: int) -> pl.Series:
        """Return the values of one word of a key."""
        group = FILE_WORDS.get(word)
        if group is not None:
            return _constant(getattr(self._name, group), rows)
        if word == "start":
            return columns["start"].dt.epoch("us")
        return columns[{"price": "cost_micros", "usage": "usage_type"}.get(word, word)]

    def _named(self, accepted: pl.DataFrame) -> pl.DataFrame:
        """Add the fingerprint of each record's key, or of its fallback."""
        texts = self._key_texts(accepted, "key")
        falls_back = accepted["falls_back"]
        if self._layout.dedupe.fallback and falls_back.any():
            texts = self._key_texts(accepted, "fallback").zip_with(falls_back, texts)
        return accepted.with_columns(fingerprint=self._hasher.fingerprints(texts))

    def _key_texts(self, accepted: pl.DataFrame, kind: KeyKind) -> pl.Series:
        dedupe = self._layout.dedupe
        words = dedupe.key if kind == "key" else dedupe.fallback
        columns = accepted.to_dict()
        parts = {
            word: self._word(word, columns, accepted.height)
            for word in words
            if word != "occurrence"
        }
        scope = (self._profile.id, self._layout.name)
        return key_texts(pl.DataFrame(parts), words, scope, kind)

    # --- the control record ---------------------------------------------------------------

    def _tally(
        self,
        unusable: pl.DataFrame,
        cells: pl.DataFrame,
        priced: Priced,
        line_nos: pl.Series,
    ) -> Tally:
        """Add up the physical records of a chunk, whatever became of them."""
        written = priced.written_micros
        counts = _counts(cells, self._layout)
        last = [line for line in (line_nos.max(), unusable["line_no"].max()) if line]
        return Tally(
            records=cells.height + unusable.height,
            amount_micros=_wide_sum(written),
            unread_amounts=written.null_count() + unusable.height,
            counted_micros=_wide_sum(counts),
            unread_counts=counts.null_count() + unusable.height,
            last_line_no=max((line for line in last if isinstance(line, int)), default=0),
        )


# --- cells --------------------------------------------------------------------------------


def read_cells(records: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Take the cells a layout names out of its rows, null where a cell holds nothing.

    Columns: each canonical text by its name, ``a_number``, ``b_number``, ``usage``,
    ``direction``, ``time.0`` and on, ``end.0`` and on, ``offset``, ``amount``,
    ``unrated``, ``counted`` and ``quantity.<usage>.<what>``.
    """
    cells = Cells(layout)
    empty = pl.lit(None, dtype=pl.String)

    def value(column: Column) -> pl.Expr:
        return cells.value(column) if column else empty

    def raw(column: Column) -> pl.Expr:
        return cells.raw(column) if column else empty

    named: dict[str, pl.Expr] = {
        name: value(layout.columns.get(name, ""))
        for name in ("a_number", "b_number", "account", *_COPIED)
    }
    named["usage"] = raw(layout.usage.column)
    named["direction"] = raw(layout.direction.column if layout.direction else "")
    time = layout.time
    named |= {f"time.{place}": value(column) for place, column in enumerate(time.columns)}
    named |= {
        f"end.{place}": value(column) for place, column in enumerate(time.end_columns)
    }
    named["offset"] = value(time.offset_column)
    named["amount"] = value(layout.money.column)
    named["unrated"] = raw(layout.money.unrated.column if layout.money.unrated else "")
    named["counted"] = value(layout.control.count_column)
    for usage, spec in layout.quantity.items():
        named[cell_name(usage, "column")] = value(spec.column)
        named[cell_name(usage, "unit_column")] = raw(spec.unit_column)
    return records.select("line_no", **named)


def _time_cells(cells: pl.DataFrame, layout: Layout) -> TimeCells:
    return TimeCells(
        start=[cells[f"time.{place}"] for place in range(len(layout.time.columns))],
        offset=cells["offset"] if layout.time.offset_column else None,
        end=[cells[f"end.{place}"] for place in range(len(layout.time.end_columns))],
    )


def _counted(cells: pl.DataFrame, usage: Part, time: Part) -> Counted:
    return Counted(
        usage=usage.columns["usage_type"],
        cells={name: cells[name] for name in cells.columns if name.startswith("quantity.")},
        span_us=time.columns.get("span_us"),
    )


# --- usage, direction, flags, limits ----------------------------------------------------


def read_usage(cells: pl.DataFrame, layout: Layout) -> Part:
    """Map the provider's word to a usage type; an unknown word rejects the record."""
    choice = layout.usage
    if choice.const:
        return Part({"usage_type": _constant(choice.const, cells.height)})
    usage = cells["usage"].replace_strict(choice.map, default=None, return_dtype=pl.String)
    fault = fault_where(usage.is_null(), "unknown_usage", cells["usage"])
    return Part({"usage_type": usage}, (fault,))


def read_direction(cells: pl.DataFrame, layout: Layout) -> Part:
    """Map the provider's word to ``out`` or ``in``; without a rule every record is out."""
    choice = layout.direction
    if choice is None:
        return Part({"direction": _constant("out", cells.height)})
    default = choice.default or None
    written = cells["direction"]
    direction = written.replace_strict(choice.map, default=default, return_dtype=pl.String)
    fault = fault_where(direction.is_null(), "unknown_direction", written)
    return Part({"direction": direction}, (fault,))


def _is_unrated(cells: pl.DataFrame, layout: Layout) -> pl.Series:
    rule = layout.money.unrated
    if not layout.money.column:
        return pl.repeat(value=True, n=cells.height, eager=True)
    if rule is None:
        return pl.repeat(value=False, n=cells.height, eager=True)
    return (cells["unrated"] == rule.equals).fill_null(value=False)


def _correction(parts: Sequence[Part], layout: Layout) -> Part:
    """Flag what gives money back or mends another record."""
    columns = _columns_of(parts)
    is_correction = (columns["usage_type"] == "adjustment") | (
        columns["cost_micros"] < 0
    ).fill_null(value=False)
    detect = layout.correction.detect
    if detect in columns:
        is_correction = is_correction | columns[detect].is_not_null()
    return Part({}, flags={"correction": is_correction.fill_null(value=False)})


def _lengths(parts: Sequence[Part]) -> Part:
    """Reject texts that a store could not keep whole."""
    columns = _columns_of(parts)
    faults = []
    for name, limit in TEXT_LIMITS.items():
        text = columns[name]
        longest = text.str.len_bytes().max()
        if isinstance(longest, int) and longest > limit:
            too_long = (text.str.len_chars() > limit).fill_null(value=False)
            faults.append(
                fault_where(too_long, "text_too_long", _constant(name, len(text)))
            )
    return Part({}, faults)


def _counts(cells: pl.DataFrame, layout: Layout) -> pl.Series:
    """Read the column a total row adds up, in millionths; an empty cell counts nothing."""
    if layout.control.count_is != "sum":
        return pl.repeat(0, cells.height, dtype=pl.Int64, eager=True)
    text = cells["counted"]
    read = read_micros(text, layout.locale, 0)["micros"]
    return pl.Series([0], dtype=pl.Int64).zip_with(text.is_null(), read)


# --- putting together ---------------------------------------------------------------------


def _columns_of(parts: Sequence[Part]) -> dict[str, pl.Series]:
    return {name: column for part in parts for name, column in part.columns.items()}


def _assembled(
    rows: pl.DataFrame, parts: Sequence[Part], faults: pl.DataFrame
) -> pl.DataFrame:
    """Put the parts of each record side by side."""
    columns = _columns_of(parts)
    return rows.select("line_no", "raw").with_columns(
        **columns, flags=flags_of(parts, rows.height)
    )


def _rejected(rows: pl.DataFrame) -> pl.DataFrame:
    return require(with_reasons(rows.sort("line_no")), REJECTED, "normalise rejected")


def _constant(value: str | None, rows: int) -> pl.Series:
    return pl.repeat(value, rows, dtype=pl.String, eager=True)


def _wide_sum(micros: pl.Series) -> int:
    """Add up in 128 bits: 64-bit sums wrap silently."""
    total = micros.cast(pl.Int128).sum()
    return int(total)
