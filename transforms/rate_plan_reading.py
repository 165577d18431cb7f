"""Reading a rate plan: the document of schema ``cdr-rate-plan/1``, checked whole.

Pure. ``parse_rate_plan`` reads table by table in the order of ``docs/rate-plans.md`` and
reports every missing key, unknown key and wrong value in one message; what one part of a
plan promises about another is checked in ``transforms.rate_plan_checks``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, get_args

from transforms.document import Faults, Table, did_you_mean, shown
from transforms.money import RoundingMode
from transforms.profile import Usage
from transforms.rate_deck import PriceLine, as_prefix, read_decks, read_prices
from transforms.rate_plan import (
    ALWAYS,
    SCHEMA,
    UNIT_OF,
    Allowance,
    CoveredFee,
    CycleVolume,
    Direction,
    Entry,
    Increment,
    Limits,
    Period,
    PlanCharge,
    PlanChargeKind,
    Pool,
    RatePlan,
    Rounding,
    Span,
    Step,
    Tariff,
    Tier,
    Unit,
    Vat,
    VatRounding,
    VolumeMode,
    ZeroLength,
)
from transforms.rate_plan_checks import check_plan
from transforms.rate_plan_values import (
    read,
    read_day,
    read_increment,
    read_micros,
    read_nanos,
    read_per,
    read_percent,
    read_quantity,
    read_span,
)
from transforms.reference import CsvFile, is_zone

PRICINGS: Final = (
    "price", "steps", "tiers", "windows", "prices", "at_cost", "cycle_volume",
)  # fmt: skip
"""The keys of an entry of which exactly one says how it is priced."""

EVERY_DIRECTION: Final = "any"

Files = Mapping[str, CsvFile | str]
"""The CSV files a plan names; a text says why one could not be read."""


def named_files(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the decks and price lists a plan needs, each once, sorted.

    What is not a text is passed over here; ``parse_rate_plan`` reports it.
    """
    decks = document.get("decks")
    entries = document.get("entry")
    names = list(decks) if isinstance(decks, list) else []
    if isinstance(entries, list):
        names += [entry.get("prices") for entry in entries if isinstance(entry, dict)]
    return tuple(sorted({name for name in names if isinstance(name, str) and name}))


def parse_rate_plan(document: Mapping[str, object], files: Files, sha256: str) -> RatePlan:
    """Read a whole plan and check it, before anything is priced by it.

    Args:
        document: The parsed TOML, decimal numbers as ``Decimal``.
        files: The decks and price lists it names, by that name.
        sha256: Hash of all bytes.

    Raises:
        ConfigError: One message naming every missing key, unknown key (with the nearest
            known one) and wrong value, each with its path (``entry[mobile].per``).
    """
    name = document.get("id")
    faults = Faults(f"rate plan {name!r}" if isinstance(name, str) else "rate plan")
    top = Table(document, "", faults)
    if top.need("schema") not in (SCHEMA, None):
        top.note("schema", f"must be {SCHEMA!r}, not {shown(document['schema'])}")
    windows = _windows(top)
    plan = RatePlan(
        id=_plan_id(top),
        name=top.text("name"),
        currency=_currency(top),
        timezone=_zone(top),
        sha256=sha256,
        valid_from=_day(top, "valid_from"),
        valid_to=_day(top, "valid_to"),
        rounding=_rounding(top.table("rounding")),
        vat=_vat(top.table("vat")),
        cycle=_cycle(top.table("cycle")),
        holidays=_holidays(top),
        windows=windows,
        zones=_zones(top),
        deck=read_decks(_decks(top, files), faults),
        entries=tuple(_entries(top, tuple(windows), files)),
        volumes=tuple(map(_volume(_volume_units(top)), top.tables("cycle_volume"))),
        allowances=_allowances(top),
        charges=tuple(map(_charge, top.tables("charge"))),
    )
    top.close()
    check_plan(plan, faults)
    faults.raise_if_any()
    return plan


# --- the head of the file ---------------------------------------------------------------


def _plan_id(top: Table) -> str:
    name = top.text("id")
    if name and not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        top.note("id", f"must be small letters, digits and _, not {shown(name)}")
    return name


def _currency(top: Table) -> str:
    currency = top.text("currency", "EUR")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        top.note("currency", f"must be three capitals such as EUR, not {shown(currency)}")
    return currency


def _zone(top: Table) -> str:
    zone = top.text("timezone", "Europe/Amsterdam")
    if not is_zone(zone):
        top.note("timezone", f"is no zone of the tz database: {shown(zone)}")
        return "UTC"
    return zone


def _day(table: Table, key: str) -> date | None:
    return read(table, key, _day_or_none, None)


def _day_or_none(value: object) -> date | None:
    return read_day(value)


def _rounding(table: Table | None) -> Rounding:
    if table is None:
        return Rounding()
    rounding = Rounding(
        mode=table.choice("mode", get_args(RoundingMode)),
        decimals=table.whole("decimals", 6, most=6),
    )
    table.close()
    return rounding


def _vat(table: Table | None) -> Vat:
    if table is None:
        return Vat()
    basis_points = read(table, "rate", read_percent, 0)
    vat = Vat(
        rate=_percent_text(basis_points),
        prices_include=table.flag("prices_include", default=False),
        rounding=table.choice("rounding", get_args(VatRounding), "invoice"),
    )
    table.close()
    return vat


def _percent_text(basis_points: int) -> str:
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def _cycle(table: Table | None) -> Limits:
    if table is None:
        return Limits()
    limits = _limits(table)
    table.close()
    return limits


def _limits(table: Table) -> Limits:
    limits = Limits(
        read(table, "minimum", _micros_or_none, None),
        read(table, "maximum", _micros_or_none, None),
    )
    least, most = limits.minimum_micros, limits.maximum_micros
    if least is not None and most is not None and least > most:
        table.note("minimum", "is above the maximum")
    return limits


def _micros_or_none(value: object) -> int | None:
    return read_micros(value)


def _holidays(top: Table) -> frozenset[date]:
    values = top.get("holidays")
    if values is None:
        return frozenset()
    if not isinstance(values, list):
        top.note("holidays", f"must be a list of dates, not {shown(values)}")
        return frozenset()
    days: set[date] = set()
    for value in values:
        try:
            day = read_day(value)
        except ValueError as exc:
            top.note("holidays", str(exc))
            continue
        if day in days:
            top.note("holidays", f"{day} stands twice")
        days.add(day)
    return frozenset(days)


def _windows(top: Table) -> dict[str, tuple[Span, ...]]:
    table = top.table("windows")
    if table is None:
        return {}
    windows: dict[str, tuple[Span, ...]] = {}
    for name in table.values:
        spans: list[Span] = []
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            table.note(name, "must be small letters, digits and _")
        for text in table.texts(name):
            try:
                spans += read_span(text)
            except ValueError as exc:
                table.note(name, str(exc))
        windows[name] = tuple(spans)
    return windows


def _decks(top: Table, files: Files) -> Iterator[CsvFile]:
    for name in top.texts("decks"):
        file = _file(top, "decks", name, files)
        if file is not None:
            yield file


def _file(table: Table, key: str, name: str, files: Files) -> CsvFile | None:
    file = files.get(name, "is missing")
    if isinstance(file, str):
        table.note(key, f"{name!r} {file}")
        return None
    return file


def _zones(top: Table) -> dict[str, tuple[str, ...]]:
    table = top.table("zones")
    return {} if table is None else {name: table.texts(name) for name in table.values}


# --- entries ----------------------------------------------------------------------------


def _entries(top: Table, windows: Sequence[str], files: Files) -> Iterator[Entry]:
    tables = top.tables("entry")
    if not tables:
        top.note("entry", "missing: a plan needs at least one [[entry]]")
    for table in tables:
        yield from _entry(table, windows, files)
        table.close()


def _entry(table: Table, windows: Sequence[str], files: Files) -> Iterator[Entry]:
    usage = table.choice("usage", get_args(Usage))
    unit = UNIT_OF[usage]
    base = Entry(
        name=table.text("name"),
        group=table.text("name", ""),
        usage=usage,
        directions=_directions(table),
        zones=table.texts("zones"),
        destinations=table.texts("destinations"),
        prefixes=tuple(_prefixes(table)),
        weight=table.whole("weight", 0, least=-1_000_000, most=1_000_000),
        increment=read(table, "increment", read_increment(unit), Increment()),
        zero_length=table.choice("zero_length", get_args(ZeroLength), "free"),
        limits=_limits(table),
        connect_nanos=read(table, "connect_fee", read_nanos, 0),
    )
    pricings = [key for key in PRICINGS if _is_given(table, key)]
    if len(pricings) != 1:
        found = " and ".join(pricings) or "none of them"
        table.note("price", f"an entry has one of {', '.join(PRICINGS)}: found {found}")
    per = _per(table, unit)
    if pricings[:1] == ["prices"]:
        yield from _priced_by_list(base, table, per, windows, files)
        return
    yield _priced(base, table, per, windows)


def _is_given(table: Table, key: str) -> bool:
    return table.has(key) and table.values[key] is not False


def _directions(table: Table) -> tuple[Direction, ...]:
    both: tuple[Direction, ...] = get_args(Direction)
    word = table.choice("direction", (*both, EVERY_DIRECTION), "out")
    return tuple(each for each in both if word in (each, EVERY_DIRECTION))


def _prefixes(table: Table) -> Iterator[str]:
    seen: set[str] = set()
    for text in table.texts("prefixes"):
        try:
            prefix = as_prefix(text)
        except ValueError as exc:
            table.note("prefixes", str(exc))
            continue
        if prefix in seen:
            table.note("prefixes", f"{prefix} stands twice")
        seen.add(prefix)
        yield prefix


def _per(table: Table, unit: Unit) -> int | None:
    return read(table, "per", _per_or_none(unit), 1 if unit == "events" else None)


def _per_or_none(unit: Unit) -> Callable[[object], int | None]:
    return read_per(unit)


def _priced(base: Entry, table: Table, per: int | None, windows: Sequence[str]) -> Entry:
    at_cost = table.flag("at_cost", default=False)
    markup = read(table, "markup", read_percent, 0)
    if table.has("markup") and not at_cost:
        table.note("markup", "is for at_cost = true")
    return replace(
        base,
        tariffs=_tariffs(base, table, per, windows),
        tiers=_tiers(table, "tiers", base.unit, per),
        markup_bp=markup if at_cost else None,
        volume=table.text("cycle_volume", ""),
    )


def _tariffs(
    base: Entry, table: Table, per: int | None, windows: Sequence[str]
) -> dict[str, Tariff]:
    inner = table.table("windows")
    if inner is None:
        steps = _steps(table, base.unit, per)
        return {ALWAYS: Tariff(steps, base.connect_nanos)} if steps else {}
    tariffs: dict[str, Tariff] = {}
    for name in windows:
        window = inner.table(name)
        if window is None:
            inner.note(name, "missing: every window of the plan needs its price")
            continue
        steps = _steps(window, base.unit, _inner_per(window, base.unit, per))
        if not steps:
            window.note("price", "missing (or steps)")
        fee = read(window, "connect_fee", read_nanos, base.connect_nanos)
        tariffs[name] = Tariff(steps, fee)
        window.close()
    inner.close()
    return tariffs


def _inner_per(table: Table, unit: Unit, default: int | None) -> int | None:
    return read(table, "per", _per_or_none(unit), default)


def _steps(table: Table, unit: Unit, per: int | None) -> tuple[Step, ...]:
    if table.has("price") and table.has("steps"):
        table.note("price", "stands beside steps: one of them")
    tiers = _tiers(table, "steps", unit, per)
    if tiers:
        for each in table.tables("steps"):
            if each.has("flat"):
                each.note("flat", "is for tiers, not for steps")
        return tuple(Step(each.up_to, each.price_nanos, each.per) for each in tiers)
    if not table.has("price"):
        return ()
    price = read(table, "price", read_nanos, 0)
    return (Step(None, price, _needed_per(table, per)),)


def _needed_per(table: Table, per: int | None) -> int:
    if per is None and not table.has("per"):
        table.note("per", "missing: what the price is for, such as 'min' or 'MB'")
    return per or 1


def _tiers(table: Table, key: str, unit: Unit, per: int | None) -> tuple[Tier, ...]:
    """Read tiers in rising order: only the last is open, each begins where one ends."""
    rows = table.tables(key)
    tiers: list[Tier] = []
    reached = 0
    for place, row in enumerate(rows, start=1):
        up_to = read(row, "up_to", _quantity_or_none(unit), None)
        begins = read(row, "from", _quantity_or_none(unit), None)
        _check_joined(row, begins, reached)
        is_last = place == len(rows)
        if is_last and up_to is not None:
            row.note("up_to", "the last tier must be open: leave up_to out")
        if not is_last and not row.has("up_to"):
            row.note("up_to", "missing: only the last tier is open")
        if up_to is not None and up_to <= reached:
            row.note("up_to", f"must be above {reached}, where this tier begins: overlap")
        price = read(row, "price", read_nanos, 0)
        flat = read(row, "flat", read_nanos, 0)
        if not row.has("price") and not row.has("flat"):
            row.note("price", "missing (or flat)")
        own_per = _inner_per(row, unit, per)
        per_units = _needed_per(row, own_per) if price else own_per or 1
        tiers.append(Tier(up_to, price, per_units, flat))
        reached = up_to or reached
        row.close()
    return tuple(tiers)


def _check_joined(row: Table, begins: int | None, reached: int) -> None:
    """A tier may say where it begins, so that a gap or an overlap shows."""
    if begins is not None and begins != reached:
        fault = "gap" if begins > reached else "overlap"
        row.note("from", f"{begins}, but the tier before ends at {reached}: {fault}")


def _quantity_or_none(unit: Unit) -> Callable[[object], int | None]:
    whole = read_quantity(unit)

    def parse(value: object) -> int | None:
        return 0 if value == 0 else whole(value)

    return parse


def _priced_by_list(
    base: Entry, table: Table, per: int | None, windows: Sequence[str], files: Files
) -> Iterator[Entry]:
    """One entry for each line of a price list."""
    name = table.text("prices")
    if base.destinations or base.prefixes:
        table.note("prices", "names its destinations itself: leave them out here")
    file = _file(table, "prices", name, files) if name else None
    if file is None:
        return
    by_window = [each for each in windows if f"price.{each}" in file.columns]
    lines = read_prices(file, base.unit, windows if by_window else (), table.faults)
    if lines:
        _needed_per(table, per)
    for line in lines:
        yield replace(
            base,
            name=f"{base.name}: {line.destination}",
            destinations=(line.destination,),
            increment=line.increment or base.increment,
            tariffs=_listed(base, line, per or 1),
        )


def _listed(base: Entry, line: PriceLine, per: int) -> dict[str, Tariff]:
    return {
        window: Tariff(
            (Step(None, price, per),), line.connects.get(window, base.connect_nanos)
        )
        for window, price in line.prices.items()
    }


# --- cycle volumes, allowances and charges ----------------------------------------------


def _volume_units(top: Table) -> dict[str, Unit]:
    """What each cycle volume is measured in: as the first entry that counts towards it."""
    units: dict[str, Unit] = {}
    for table in top.tables("entry"):
        name, usage = table.values.get("cycle_volume"), table.values.get("usage")
        for known in get_args(Usage):
            if isinstance(name, str) and usage == known:
                units.setdefault(name, UNIT_OF[known])
    return units


def _volume(units: Mapping[str, Unit]) -> Callable[[Table], CycleVolume]:
    def parse(table: Table) -> CycleVolume:
        name = table.text("name")
        if name and name not in units:
            near = did_you_mean(name, list(units))
            table.note("name", f"no entry counts towards {name!r}{near}")
        unit = units.get(name, "events")
        mode = table.choice("mode", get_args(VolumeMode))
        volume = CycleVolume(
            name=name,
            mode=mode,
            tiers=_package(table, unit)
            if mode == "package"
            else _volume_tiers(table, unit),
            pool=table.choice("pool", get_args(Pool), "customer"),
            limits=_limits(table),
        )
        table.close()
        return volume

    return parse


def _package(table: Table, unit: Unit) -> tuple[Tier, ...]:
    table.need("package")
    table.need("price")
    size = read(table, "package", read_quantity(unit), 1)
    return (Tier(None, 0, size, read(table, "price", read_nanos, 0)),)


def _volume_tiers(table: Table, unit: Unit) -> tuple[Tier, ...]:
    tiers = _tiers(table, "tiers", unit, _per(table, unit))
    if not tiers:
        table.note("tiers", "missing")
    return tiers


def _allowances(top: Table) -> tuple[Allowance, ...]:
    tables = top.tables("allowance")
    read_all = [_allowance(table, place) for place, table in enumerate(tables, start=1)]
    orders = [each.order for each in read_all]
    for each, table in zip(read_all, tables, strict=True):
        if orders.count(each.order) > 1:
            table.note("order", f"{each.order} stands twice: which is used first?")
    # Money is drawn for what is charged, so after every allowance of units.
    return tuple(sorted(read_all, key=lambda each: (each.units is None, each.order)))


def _allowance(table: Table, place: int) -> Allowance:
    usage = _usages(table)
    units = {UNIT_OF[each] for each in usage}
    has_units, has_money = table.has("size"), table.has("amount")
    if has_units == has_money:
        table.note("size", "an allowance has either a size (units) or an amount (money)")
    if has_units and len(units) > 1:
        table.note("usage", "an allowance of units covers usage of one unit")
    unit = UNIT_OF[usage[0]] if usage else "events"
    size = read(table, "size", read_quantity(unit), 1)
    block = read(table, "block", read_quantity(unit), 1)
    if has_money and table.has("block"):
        table.note("block", "is for an allowance of units")
    if has_units and size % block:
        table.note("size", f"must be a whole number of blocks of {block} {unit}")
    allowance = Allowance(
        name=table.text("name"),
        order=table.whole("order", place, most=1_000_000),
        units=size if has_units else None,
        amount_micros=read(table, "amount", read_micros, 0) if has_money else None,
        usage=usage,
        entries=table.texts("entries"),
        zones=table.texts("zones"),
        block=block,
        pool=table.choice("pool", get_args(Pool), "customer"),
        period=table.choice("period", get_args(Period), "cycle"),
        connect_fee=table.choice("connect_fee", get_args(CoveredFee), "included"),
        valid_from=_day(table, "valid_from"),
        valid_to=_day(table, "valid_to"),
    )
    table.close()
    return allowance


def _usages(table: Table) -> tuple[Usage, ...]:
    """Read the usage types covered: one text or a list; at least one."""
    value = table.get("usage")
    words = [value] if isinstance(value, str) else table.texts("usage")
    known: tuple[Usage, ...] = get_args(Usage)
    for word in words:
        if word not in known:
            near = did_you_mean(word, known)
            table.note("usage", f"unknown usage type {word!r}{near}")
    if not words:
        table.note("usage", "missing: which usage types it covers")
    return tuple(each for each in known if each in words)


def _charge(table: Table) -> PlanCharge:
    charge = PlanCharge(
        name=table.text("name"),
        kind=table.choice("kind", get_args(PlanChargeKind), "recurring"),
        amount_micros=read(table, "amount", read_micros, 0),
        per=table.choice("per", get_args(Pool), "customer"),
    )
    if not charge.amount_micros and table.has("amount"):
        table.note("amount", "must be above 0; leave out a charge of nothing")
    table.close()
    return charge
