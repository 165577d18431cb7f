"""A rate plan as frames: what rating joins to, made once for a plan.

Pure. Entries, windows and zones of the plan become numbers, prices whole numbers over one
denominator for each entry, so that pricing is adding up products of whole numbers.

Units: ``fee``, ``coef`` and ``flat`` are nanos times the entry's ``denominator``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm
from typing import Final

import polars as pl

from transforms.cdr import Schema
from transforms.rate_plan import ALWAYS, CycleVolume, Entry, RatePlan, Step, Tier
from transforms.rate_scopes import Place, boundaries, scopes
from transforms.rate_windows import NO_WINDOW

BASIS_POINTS: Final = 10_000

OPEN: Final = 2**62
"""The end of an open tier: above every quantity there can be."""

WIDE: Final = pl.Int128()
NUMBER: Final = pl.Int32()

ENTRIES: Final[Schema] = {
    "entry_no": NUMBER,
    "entry": pl.String(),
    "denominator": WIDE,
    "first_units": pl.Int64(),
    "step_units": pl.Int64(),
    "is_zero_charged": pl.Boolean(),
    "minimum_micros": pl.Int64(),
    "maximum_micros": pl.Int64(),
    "is_windowed": pl.Boolean(),
    "markup": WIDE,
    "volume_no": NUMBER,
}
"""``markup``: basis points to multiply the provider's cost by, null when not at cost."""

FEES: Final[Schema] = {"entry_no": NUMBER, "window_no": NUMBER, "fee": WIDE}

STEPS: Final[Schema] = {
    "entry_no": NUMBER,
    "window_no": NUMBER,
    "tier_from": pl.Int64(),
    "tier_to": pl.Int64(),
    "step_from": pl.Int64(),
    "step_to": pl.Int64(),
    "coef": WIDE,
    "flat": WIDE,
}
"""A record of ``(tier_from, tier_to]`` units pays ``coef`` for each elapsed unit of
``[step_from, step_to)``."""

VOLUME_TIERS: Final[Schema] = {
    "volume_no": NUMBER,
    "tier_from": pl.Int64(),
    "tier_to": pl.Int64(),
    "coef": WIDE,
    "flat": WIDE,
    "package": pl.Int64(),
}


@dataclass(frozen=True)
class Prepared:
    """A plan made ready to rate with.

    Attributes:
        plan: The plan itself.
        entries: Frame ``ENTRIES``; the entry's number is its row.
        fees: Frame ``FEES``.
        steps: Frame ``STEPS``.
        only_step: The row in ``steps`` of each entry and window that has one only, at
            place ``entry_no * window_count + window_no``; null where there are more, or
            none.
        window_count: How many windows the plan has, at least one.
        scopes: For each place where its stretches begin (sorted) and who covers them.
        volumes: Frame ``VOLUME_TIERS``.
        volume_denominators: Over which the prices of each cycle volume are kept.
        zone_of: The plan's zone by what a record calls it.
    """

    plan: RatePlan
    entries: pl.DataFrame
    fees: pl.DataFrame
    steps: pl.DataFrame
    only_step: pl.Series
    window_count: int
    scopes: Mapping[Place, tuple[pl.Series, pl.Series]]
    volumes: pl.DataFrame
    volume_denominators: tuple[int, ...]
    zone_of: Mapping[str, str]


def prepare(plan: RatePlan) -> Prepared:
    """Make a plan ready; worth doing once for many frames of records."""
    numbers = {volume.name: number for number, volume in enumerate(plan.volumes)}
    windows = {name: number for number, name in enumerate(plan.windows)}
    entries: list[tuple[object, ...]] = []
    fees: list[tuple[object, ...]] = []
    steps: list[tuple[object, ...]] = []
    for number, entry in enumerate(plan.entries):
        denominator = _denominator(entry)
        entries.append(_entry_row(number, entry, denominator, numbers.get(entry.volume)))
        for name, fee in _connects(entry).items():
            window = windows.get(name, NO_WINDOW)
            fees.append((number, window, fee * denominator))
        steps += _step_rows(number, entry, denominator, windows)
    denominators = tuple(_common(volume.tiers) for volume in plan.volumes)
    priced, window_count = _frame(steps, STEPS), max(1, len(windows))
    return Prepared(
        plan=plan,
        entries=_frame(entries, ENTRIES),
        fees=_frame(fees, FEES),
        steps=priced,
        only_step=_only_steps(priced, len(entries), window_count),
        window_count=window_count,
        scopes=_laid_out(plan),
        volumes=_frame(
            [
                row
                for number, volume in enumerate(plan.volumes)
                for row in _volume_rows(number, volume, denominators[number])
            ],
            VOLUME_TIERS,
        ),
        volume_denominators=denominators,
        zone_of={word: name for name, words in plan.zones.items() for word in words},
    )


def _frame(rows: list[tuple[object, ...]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema, orient="row")


def _only_steps(steps: pl.DataFrame, entry_count: int, window_count: int) -> pl.Series:
    numbered = steps.with_row_index("step").select(
        pl.col("step").cast(NUMBER),
        place=pl.col("entry_no") * window_count + pl.col("window_no"),
    )
    alone = numbered.filter(~pl.col("place").is_duplicated())
    nowhere = pl.Series("step", [None] * (entry_count * window_count), NUMBER)
    return nowhere.scatter(alone["place"], alone["step"])


def _denominator(entry: Entry) -> int:
    if entry.markup_bp is not None:
        return BASIS_POINTS
    priced = [step for tariff in entry.tariffs.values() for step in tariff.steps]
    return _common((*priced, *entry.tiers))


def _common(prices: tuple[Step | Tier, ...]) -> int:
    return lcm(*(price.per for price in prices))


def _entry_row(
    number: int, entry: Entry, denominator: int, volume: int | None
) -> tuple[object, ...]:
    markup = entry.markup_bp
    return (
        number,
        entry.name,
        denominator,
        entry.increment.first,
        entry.increment.step,
        entry.zero_length == "connect_fee",
        entry.limits.minimum_micros,
        entry.limits.maximum_micros,
        bool(entry.tariffs) and ALWAYS not in entry.tariffs,
        None if markup is None else BASIS_POINTS + markup,
        volume,
    )


def _connects(entry: Entry) -> dict[str, int]:
    fees = {name: tariff.connect_nanos for name, tariff in entry.tariffs.items()}
    return fees or {ALWAYS: entry.connect_nanos}


def _step_rows(
    number: int, entry: Entry, denominator: int, windows: Mapping[str, int]
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, tariff in entry.tariffs.items():
        window = windows.get(name, NO_WINDOW)
        begin = 0
        for step in tariff.steps:
            end = OPEN if step.up_to is None else step.up_to
            coef = step.price_nanos * (denominator // step.per)
            rows.append((number, window, 0, OPEN, begin, end, coef, 0))
            begin = end
    begin = 0
    for tier in entry.tiers:
        end = OPEN if tier.up_to is None else tier.up_to
        coef = tier.price_nanos * (denominator // tier.per)
        flat = tier.flat_nanos * denominator
        rows.append((number, NO_WINDOW, begin, end, 0, OPEN, coef, flat))
        begin = end
    return rows


def _volume_rows(
    number: int, volume: CycleVolume, denominator: int
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    begin = 0
    for tier in volume.tiers:
        end = OPEN if tier.up_to is None else tier.up_to
        coef = tier.price_nanos * (denominator // tier.per)
        flat = tier.flat_nanos * denominator
        package = tier.per if volume.mode == "package" else 1
        rows.append((number, begin, end, coef, flat, package))
        begin = end
    return rows


def _laid_out(plan: RatePlan) -> dict[Place, tuple[pl.Series, pl.Series]]:
    laid: dict[Place, tuple[pl.Series, pl.Series]] = {}
    for place, scope in scopes(plan).items():
        begins, covers = boundaries(scope, plan.deck)
        laid[place] = (pl.Series(begins, dtype=pl.String), pl.Series(covers, dtype=NUMBER))
    return laid


def scattered(rows: pl.Series, values: pl.Series, height: int) -> pl.Series:
    """Put values at their rows of a column; the other rows are 0.

    The rows of records are their places, so this is a join without a search.
    """
    column = pl.zeros(height, values.dtype, eager=True).alias(values.name)
    return column.scatter(rows, values)
