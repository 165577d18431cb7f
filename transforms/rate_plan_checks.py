"""Checks of a rate plan that span its parts: what one part promises about another.

Pure. Called by ``transforms.rate_plan_reading`` on a plan already read; every fault is
noted under its path, none stops the others.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import lcm
from typing import Final

from transforms.document import Faults, did_you_mean
from transforms.rate_deck import FAULTS_SHOWN
from transforms.rate_plan import (
    DAY_TYPES,
    HOLIDAY,
    MINUTES_A_DAY,
    WEEKDAYS,
    Allowance,
    Entry,
    Limits,
    RatePlan,
    Span,
    Step,
    Tier,
)
from transforms.rate_plan_values import clock
from transforms.rate_scopes import scopes

FINEST: Final = 2**60
"""The common denominator of an entry's prices may not be above this."""

STEEPEST: Final = 2**68
"""Nor the price of one unit, over that denominator."""

ALLOWANCE_CHARS: Final = 128
"""The name of an allowance is stored with what it gave."""


def check_plan(plan: RatePlan, faults: Faults) -> None:
    """Check what the parts of a plan promise about each other."""
    if plan.valid_from and plan.valid_to and plan.valid_from >= plan.valid_to:
        faults.note("valid_to", f"must be after valid_from ({plan.valid_from})")
    _check_names(plan, faults)
    _check_windows(plan, faults)
    _check_zones(plan, faults)
    _check_destinations(plan, faults)
    for entry in plan.entries:
        _check_entry(entry, plan, faults)
    _check_volumes(plan, faults)
    for allowance in plan.allowances:
        _check_allowance(allowance, plan, faults)
    _check_ties(plan, faults)


def _check_names(plan: RatePlan, faults: Faults) -> None:
    # The lines of a price list share the name of their entry, one after the other.
    entries = [
        entry.group
        for place, entry in enumerate(plan.entries)
        if entry.name == entry.group or plan.entries[place - 1].group != entry.group
    ]
    for what, names in (
        ("entry", entries),
        ("cycle_volume", [each.name for each in plan.volumes]),
        ("allowance", [each.name for each in plan.allowances]),
        ("charge", [each.name for each in plan.charges]),
    ):
        for name in _doubled(names):
            faults.note(f"{what}[{name}]", "the name stands twice")


def _doubled(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if name and names.count(name) > 1})


# --- windows ----------------------------------------------------------------------------


def _check_windows(plan: RatePlan, faults: Faults) -> None:
    """Windows cover every kind of day once: no gap, no overlap."""
    if not plan.windows:
        return
    spoken = {span.day for spans in plan.windows.values() for span in spans}
    if plan.holidays and HOLIDAY not in spoken:
        faults.note("windows", "holidays are listed, but no window covers 'holiday'")
    if HOLIDAY in spoken and not plan.holidays:
        faults.note("holidays", "missing: windows speak of 'holiday'")
    for day in DAY_TYPES if HOLIDAY in spoken else WEEKDAYS:
        for fault in _day_faults(day, plan.windows):
            faults.note("windows", fault)


def _day_faults(day: str, windows: Mapping[str, Sequence[Span]]) -> Iterator[str]:
    spans = sorted(
        (span.start, span.end, name)
        for name, each in windows.items()
        for span in each
        if span.day == day
    )
    reached, holder = 0, ""
    for start, end, name in spans:
        if start > reached:
            yield f"{day} {clock(reached)}-{clock(start)} is in no window: gap"
        elif start < reached:
            last = clock(min(reached, end))
            yield f"{day} {clock(start)}-{last} is in {holder} and in {name}: overlap"
        if end > reached:
            reached, holder = end, name
    if reached < MINUTES_A_DAY:
        yield f"{day} {clock(reached)}-24:00 is in no window: gap"


# --- zones and entries ------------------------------------------------------------------


def _check_zones(plan: RatePlan, faults: Faults) -> None:
    owner: dict[str, str] = {}
    for name, words in plan.zones.items():
        if not words:
            faults.note(f"zones.{name}", "must list what records call this zone")
        for word in words:
            if word in owner:
                faults.note(f"zones.{name}", f"{word!r} is in zone {owner[word]} already")
            owner.setdefault(word, name)


def _check_entry(entry: Entry, plan: RatePlan, faults: Faults) -> None:
    where = f"entry[{entry.name}]"
    _check_known(entry.zones, plan.zones, f"{where}.zones", "zone", faults)
    is_bounded = entry.limits != Limits()
    if entry.volume:
        names = [volume.name for volume in plan.volumes]
        _check_known([entry.volume], names, f"{where}.cycle_volume", "pricing", faults)
        if is_bounded:
            faults.note(where, "minimum and maximum belong to its [[cycle_volume]]")
    if entry.markup_bp is not None and (is_bounded or entry.connect_nanos):
        faults.note(where, "at_cost takes no connect_fee, minimum or maximum")
    _check_exact(
        [*(step for each in entry.tariffs.values() for step in each.steps), *entry.tiers],
        where,
        faults,
    )


def _check_known(
    names: Iterable[str], known: Collection[str], where: str, what: str, faults: Faults
) -> None:
    for name in names:
        if name not in known:
            near = did_you_mean(name, sorted(known))
            faults.note(where, f"unknown {what} {name!r}{near}")


def _check_destinations(plan: RatePlan, faults: Faults) -> None:
    """A price list without its deck could be thousands of faults: they are counted."""
    known = {line.destination for line in plan.deck}
    unknown = [
        (entry.name, name)
        for entry in plan.entries
        for name in entry.destinations
        if name not in known
    ]
    for entry, name in unknown[:FAULTS_SHOWN]:
        where = f"entry[{entry}].destinations"
        _check_known([name], known, where, "destination", faults)
    if len(unknown) > FAULTS_SHOWN:
        further = len(unknown) - FAULTS_SHOWN
        faults.note("entry", f"{further} further unknown destinations")


def _check_exact(prices: Sequence[Step | Tier], where: str, faults: Faults) -> None:
    """Prices for odd quantities side by side could need more than 128 bits."""
    denominator = lcm(*(price.per for price in prices))
    steepest = max(
        (price.price_nanos * (denominator // price.per) for price in prices), default=0
    )
    if denominator > FINEST or steepest > STEEPEST:
        faults.note(where, "its prices cannot be added exactly: use the same `per` for all")


def _check_volumes(plan: RatePlan, faults: Faults) -> None:
    for volume in plan.volumes:
        where = f"cycle_volume[{volume.name}]"
        units = {entry.unit for entry in plan.entries if entry.volume == volume.name}
        if len(units) > 1:
            faults.note(where, f"its entries are measured in {' and '.join(sorted(units))}")
        _check_exact(volume.tiers, where, faults)


# --- allowances -------------------------------------------------------------------------


def _check_allowance(allowance: Allowance, plan: RatePlan, faults: Faults) -> None:
    where = f"allowance[{allowance.name}]"
    groups = {entry.group: entry for entry in plan.entries}
    _check_known(allowance.entries, groups, f"{where}.entries", "entry", faults)
    _check_known(allowance.zones, plan.zones, f"{where}.zones", "zone", faults)
    if len(allowance.name) > ALLOWANCE_CHARS:
        faults.note(where, f"has a name of more than {ALLOWANCE_CHARS} characters")
    start, end = allowance.valid_from, allowance.valid_to
    if start and end and start >= end:
        faults.note(f"{where}.valid_to", f"must be after valid_from ({start})")
    for name in allowance.entries:
        entry = groups.get(name)
        if entry and entry.usage not in allowance.usage:
            faults.note(f"{where}.entries", f"{name!r} is not of usage {entry.usage!r}")
        elif entry and allowance.units is not None and entry.markup_bp is not None:
            faults.note(f"{where}.entries", f"{name!r} is at cost: only money can cover it")
    if not any(covers(allowance, entry) for entry in plan.entries):
        faults.note(where, "covers no entry of the plan")


def covers(allowance: Allowance, entry: Entry) -> bool:
    """Tell whether an allowance can pay for usage of an entry, whatever the zone."""
    in_zone = not allowance.zones or not entry.zones
    return (
        entry.usage in allowance.usage
        and (not allowance.entries or entry.group in allowance.entries)
        and (in_zone or bool(set(allowance.zones) & set(entry.zones)))
        and (allowance.units is None or entry.markup_bp is None)
    )


# --- ties -------------------------------------------------------------------------------


def _check_ties(plan: RatePlan, faults: Faults) -> None:
    """Two entries may claim one destination only with different weights."""
    noted: set[tuple[int, int]] = set()
    for (usage, direction, zone), scope in scopes(plan).items():
        for claim, first, second in scope.ties:
            if (first, second) in noted:
                continue
            noted.add((first, second))
            names = f"{plan.entries[first].name!r} and {plan.entries[second].name!r}"
            place = f"{usage} {direction}{f', zone {zone}' if zone else ''}, {claim}"
            faults.note("entry", f"{names} both cover {place}: give one a weight")
