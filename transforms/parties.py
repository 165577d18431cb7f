"""Parties: whose subscription a record is about, and who was at the other end.

Pure. In ``own_other`` the A-number is always the own line. In ``a_b`` the A-number called
the B-number, and the own side follows the direction: of an incoming call it is B.
"""

from dataclasses import dataclass

import polars as pl

from transforms.numbers import number_class, read_numbers
from transforms.part import Fault, Part
from transforms.profile import Layout


@dataclass(frozen=True)
class Sides:
    """The two number cells of each record, and whether B is the own side."""

    a_text: pl.Series
    b_text: pl.Series
    own_is_b: pl.Series


def read_parties(sides: Sides, layout: Layout) -> Part:
    """Read both numbers and give each its role.

    Returns:
        ``subscriber``, ``other_kind``, ``other``, ``other_class``, and ``a_number`` and
        ``b_number`` for the key. Flags: ``a_masked``, ``b_masked``, ``a_zero_added`` and
        ``b_zero_added``, by the column the number came from.
    """
    rules = layout.numbers
    frame = _by_role(
        _read_side("a", sides.a_text, layout), _read_side("b", sides.b_text, layout), sides
    )
    own_any, other_any = rules.own == "any", rules.other == "any"
    read = frame.with_columns(
        own_code=_own_fault_any() if own_any else _own_fault(),
        is_text=_is_text() if other_any else pl.lit(value=False),
    ).with_columns(
        subscriber=pl.when(pl.col("own_code").is_null()).then(
            pl.col("own_text").str.strip_chars() if own_any else pl.col("own_value")
        ),
        other_kind=pl.when("is_text").then(pl.lit("text")).otherwise("other_kind"),
        other=pl.when("is_text")
        .then(pl.col("other_text").str.strip_chars())
        .otherwise("other_value"),
        other_code=pl.when(~pl.col("is_text")).then("other_fault"),
    )
    read = read.with_columns(
        other_class=number_class(pl.col("other_kind"), pl.col("other")),
    )
    return _part(read, sides.own_is_b, own_is_number=not own_any)


def _read_side(side: str, text: pl.Series, layout: Layout) -> pl.DataFrame:
    numbers = read_numbers(text, layout.numbers)
    return numbers.with_columns(text.alias("text")).select(pl.all().name.prefix(f"{side}_"))


def _by_role(a_side: pl.DataFrame, b_side: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """Rename the two sides to own and other, row by row where they change places."""
    if not sides.own_is_b.any():
        own, other = a_side.columns, b_side.columns
        return pl.concat([a_side, b_side], how="horizontal").rename(
            {name: f"own{name[1:]}" for name in own}
            | {name: f"other{name[1:]}" for name in other}
        )
    columns = {}
    for name in a_side.columns:
        word = name[1:]
        a_cells, b_cells = a_side[name], b_side[f"b{word}"]
        columns[f"own{word}"] = b_cells.zip_with(sides.own_is_b, a_cells)
        columns[f"other{word}"] = a_cells.zip_with(sides.own_is_b, b_cells)
    return pl.DataFrame(columns)


def _own_fault() -> pl.Expr:
    kind = pl.col("own_kind")
    return (
        pl.when(kind == "none")
        .then(pl.lit("own_missing"))
        .when(kind == "bad")
        .then("own_fault")
        .when(kind != "e164")
        .then(pl.lit("own_not_a_number"))
    )


def _own_fault_any() -> pl.Expr:
    """A login or an extension will do; a mask, nothing or a damaged number will not."""
    kind = pl.col("own_kind")
    return (
        pl.when(kind == "none")
        .then(pl.lit("own_missing"))
        .when(kind == "masked")
        .then(pl.lit("own_not_a_number"))
        .when(pl.col("own_fault") == "number_destroyed")
        .then(pl.lit("number_destroyed"))
    )


def _is_text() -> pl.Expr:
    is_bad = pl.col("other_kind") == "bad"
    return is_bad & (pl.col("other_fault") != "number_destroyed").fill_null(value=False)


def _part(read: pl.DataFrame, own_is_b: pl.Series, *, own_is_number: bool) -> Part:
    own_added = read["own_zero_added"] & own_is_number
    is_masked = read["other_kind"] == "masked"
    columns = {
        name: read[name] for name in ("subscriber", "other_kind", "other", "other_class")
    }
    return Part(
        columns={
            **columns,
            "a_number": read["other"].zip_with(own_is_b, read["subscriber"]),
            "b_number": read["subscriber"].zip_with(own_is_b, read["other"]),
        },
        faults=(
            Fault(read["own_code"], read["own_text"]),
            Fault(read["other_code"], read["other_text"]),
        ),
        flags={
            "a_masked": is_masked & own_is_b,
            "b_masked": is_masked & ~own_is_b,
            "a_zero_added": read["other_zero_added"].zip_with(own_is_b, own_added),
            "b_zero_added": own_added.zip_with(own_is_b, read["other_zero_added"]),
        },
    )
