"""Random billing histories: a plan, its decks, and months of records, from one seed.

Used to compare rating with the independent rater of ``tests/rater.py``. A seed gives the
same history on every machine, so a failure is replayed by its seed alone.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from tests.rater import Event

PREFIXES = (
    "3", "31", "316", "3161", "31612", "32", "324", "44", "447", "1", "=112", "=data",
    "=+3161",
)  # fmt: skip
DESTINATIONS = (
    "+31612345678", "+31201234567", "+316", "+3", "+3161", "+32470000000", "+447700900000",
    "+447", "+12125550100", "112", "1888", "data", "316123XXX", "", None,
)  # fmt: skip
ZONES = ("Europe/Amsterdam", "Europe/Amsterdam", "America/New_York", "Pacific/Chatham")
SCHEDULES: tuple[dict[str, list[str]], ...] = (
    {
        "peak": ["mon-fri 08:00-18:00"],
        "off_peak": [
            "mon-fri 00:00-08:00", "mon-fri 18:00-24:00", "sat,sun,holiday 00:00-24:00",
        ],
    },
    {"night": ["daily 00:00-02:30"], "day": ["daily 02:30-24:00"]},
    {
        "early": ["always 00:00-03:00"],
        "late": ["always 03:00-23:00"],
        "last": ["always 23:00-24:00"],
    },
)  # fmt: skip
MOMENTS = (
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # an hour is missing in Europe
    datetime(2026, 10, 24, 23, 40, tzinfo=UTC),  # an hour comes twice
    datetime(2026, 10, 31, 22, 30, tzinfo=UTC),  # the end of a month
    datetime(2026, 4, 30, 21, 50, tzinfo=UTC),
    datetime(2026, 12, 24, 22, 30, tzinfo=UTC),  # before a holiday
    datetime(2026, 10, 5, 5, 55, tzinfo=UTC),  # before peak begins
)
PER = {
    "voice": ("s", "min", "h", "7"),
    "data": ("B", "kB", "MB", "MiB", "100 kB"),
    "sms": ("event", "3"),
    "fee": ("event",),
}
INCREMENTS = {
    "voice": ("1/1", "60/60", "60/6", "30/6", "1 min/7"),
    "data": ("1/1", "1 kB/1 kB", "1 MiB/100 kB"),
    "sms": ("1/1", "2/3"),
    "fee": ("1/1",),
}


@dataclass(frozen=True)
class History:
    """A plan as its document and files, and the records of its customers."""

    document: dict[str, Any]
    files: dict[str, list[dict[str, str]]]
    events: list[Event]
    cycles: list[tuple[int, date]]
    zones: dict[int, str]


def history(seed: int) -> History:
    """Make the history of a seed."""
    random = Random(seed)
    zones = {customer: random.choice(ZONES) for customer in (1, 2)}
    events = _events(random, zones)
    asked = {(event.customer, event.cycle) for event in events}
    asked.add((2, date(2026, 7, 1)))  # a cycle without records
    document, files = _plan(random)
    return History(document, files, events, sorted(asked), zones)


# --- records ----------------------------------------------------------------------------


def _events(random: Random, zones: dict[int, str]) -> list[Event]:
    count = random.randint(1, 40)
    moments = random.sample(MOMENTS, 2)
    events = [_event(random, key, zones, moments) for key in range(count)]
    random.shuffle(events)
    return events


def _event(
    random: Random, key: int, zones: dict[int, str], moments: list[datetime]
) -> Event:
    customer = random.choice(list(zones))
    usage = random.choice(("voice", "voice", "voice", "data", "sms", "fee"))
    start = random.choice(moments) + timedelta(seconds=random.randint(0, 9000))
    if random.random() < 0.2:
        start = random.choice(moments)  # records that begin together
    event = Event(
        key=key,
        customer=customer,
        line=random.choice(("A", "B")),
        cycle=date.min,
        zone_name=zones[customer],
        usage=usage,
        start=start,
        quantity=_quantity(random, usage),
        destination=random.choice(DESTINATIONS),
        zone=random.choice((None, None, "EU", "EU2", "ROW", "??")),
        direction=random.choice(("out", "out", "out", "in")),
        continuation=random.random() < 0.1,
        cost=random.choice((None, 0, 40_500, -1_250_000, 999_999)),
    )
    return Event(**{**vars(event), "cycle": event.wall.date().replace(day=1)})


def _quantity(random: Random, usage: str) -> int | None:
    if random.random() < 0.1:
        return random.choice((0, None, 1))
    if usage == "voice":
        return random.choice((random.randint(1, 400), random.randint(400, 20_000)))
    return random.randint(1, 5_000_000) if usage == "data" else random.randint(1, 5)


# --- plans ------------------------------------------------------------------------------


def _plan(random: Random) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    windows = random.choice((None, *SCHEDULES))
    files = {"deck.csv": _deck(random)}
    known = _known(files["deck.csv"])
    document: dict[str, Any] = {
        "schema": "cdr-rate-plan/1",
        "id": "random",
        "name": "Random",
        "decks": ["deck.csv"],
        "zones": {"eu": ["EU", "EU2"], "row": ["ROW"]},
        "rounding": {
            "mode": random.choice(("up", "half-up", "half-even", "down")),
            "decimals": random.randint(0, 6),
        },
    }
    if random.random() < 0.3:
        document["valid_from"] = date(2026, 4, 30)
        document["valid_to"] = date(2026, 10, 25)
    if random.random() < 0.5:
        document["cycle"] = _limits(random, 400)
    if windows:
        document["windows"] = windows
        spans = [span for each in windows.values() for span in each]
        if any("holiday" in span or "always" in span for span in spans):
            document["holidays"] = [date(2026, 12, 25), date(2026, 10, 25)]
    entries = [
        _entry(random, place, list(windows or {}), known)
        for place in range(random.randint(1, 7))
    ]
    if random.random() < 0.4:
        entries.append(_price_list(random, list(windows or {}), known, files))
    document["entry"] = entries
    volumes = {
        entry["cycle_volume"]: entry["usage"]
        for entry in entries
        if "cycle_volume" in entry
    }
    if volumes:
        document["cycle_volume"] = [
            _volume(random, name, usage) for name, usage in volumes.items()
        ]
    allowances = [
        _allowance(random, place, entries) for place in range(random.randint(0, 4))
    ]
    if allowances:
        document["allowance"] = [each for each in allowances if each]
    return document, files


def _deck(random: Random) -> list[dict[str, str]]:
    rows = [
        {"prefix": prefix, "destination": random.choice(("NL", "BE", "UK", "short"))}
        for prefix in random.sample(PREFIXES, random.randint(1, 9))
    ]
    if random.random() < 0.3:
        heavier = {**rows[0], "destination": "UK", "weight": "2"}
        rows = [{"weight": "0", **row} for row in [*rows, heavier]]
    return rows


def _known(rows: list[dict[str, str]]) -> list[str]:
    """Destinations that are left when the heaviest line of each prefix has won."""
    leads = {row["prefix"]: row["destination"] for row in rows}
    return sorted(set(leads.values()))


def _entry(
    random: Random, place: int, windows: list[str], known: list[str]
) -> dict[str, Any]:
    usage = random.choice(("voice", "voice", "data", "sms", "fee"))
    entry: dict[str, Any] = {"name": f"entry {place}", "usage": usage, "weight": place}
    entry["per"] = random.choice(PER[usage])
    if random.random() < 0.3:
        entry["direction"] = random.choice(("in", "any"))
    if random.random() < 0.3:
        entry["zones"] = random.sample(("eu", "row"), random.randint(1, 2))
    if random.random() < 0.3:
        entry["destinations"] = random.sample(known, random.randint(1, len(known)))
    if random.random() < 0.3:
        entry["prefixes"] = random.sample(PREFIXES, random.randint(1, 4))
    if random.random() < 0.7:
        entry["increment"] = random.choice(INCREMENTS[usage])
    kind = random.choice(
        ("price", "price", "steps", "tiers", "windows", "at_cost", "volume")
    )
    if kind == "at_cost":
        entry["at_cost"] = True
        entry["markup"] = random.choice(("0", "12.5", "3.33"))
        return entry
    if random.random() < 0.5:
        entry["connect_fee"] = _amount(random)
    if random.random() < 0.3:
        entry["zero_length"] = "connect_fee"
    if kind == "volume":
        entry["cycle_volume"] = f"volume of {usage}"
        return entry
    if random.random() < 0.3:
        entry.update(_limits(random, 2))
    if kind == "windows" and windows:
        entry["windows"] = {name: _window(random, usage) for name in windows}
    elif kind == "tiers":
        entry["tiers"] = _tiers(random, usage, flat=True)
    elif kind == "steps":
        entry["steps"] = _tiers(random, usage, flat=False)
    else:
        entry["price"] = _amount(random)
    return entry


def _window(random: Random, usage: str) -> dict[str, Any]:
    window: dict[str, Any] = {"price": _amount(random)}
    if random.random() < 0.4:
        window = {"steps": _tiers(random, usage, flat=False)}
    if random.random() < 0.4:
        window["connect_fee"] = _amount(random)
    if random.random() < 0.2:
        window["per"] = random.choice(PER[usage])
    return window


def _tiers(random: Random, usage: str, *, flat: bool) -> list[dict[str, Any]]:
    top = {"voice": 3000, "data": 2_000_000}.get(usage, 4)
    ends = sorted({random.randint(1, top) for _ in range(random.randint(0, 3))})
    tiers: list[dict[str, Any]] = []
    for end in [*ends, None]:
        tier: dict[str, Any] = {"price": _amount(random)}
        if end is not None:
            tier["up_to"] = end
        if flat and random.random() < 0.5:
            tier["flat"] = _amount(random)
        if random.random() < 0.2:
            tier["per"] = random.choice(PER[usage])
        tiers.append(tier)
    return tiers


def _price_list(
    random: Random,
    windows: list[str],
    known: list[str],
    files: dict[str, list[dict[str, str]]],
) -> dict[str, Any]:
    columns = [f"price.{name}" for name in windows] if windows else ["price"]
    if windows and random.random() < 0.5:
        columns = ["price"]
    files["prices.csv"] = [
        {
            "destination": name,
            "increment": random.choice(("", "30/6")),
            **({"connect_fee": _amount(random)} if columns == ["price"] else {}),
            **{column: _amount(random) for column in columns},
        }
        for name in known
    ]
    return {
        "name": "listed", "usage": "voice", "per": "min", "prices": "prices.csv",
        "weight": 99, "direction": "any", "connect_fee": _amount(random),
    }  # fmt: skip


def _volume(random: Random, name: str, usage: str) -> dict[str, Any]:
    volume: dict[str, Any] = {
        "name": name,
        "mode": random.choice(("graduated", "volume", "package")),
        "pool": random.choice(("line", "customer")),
    }
    if volume["mode"] == "package":
        volume["package"] = random.randint(1, {"voice": 600, "data": 10**6}.get(usage, 3))
        volume["price"] = _amount(random)
    else:
        volume["per"] = random.choice(PER[usage])
        volume["tiers"] = _tiers(random, usage, flat=True)
    if random.random() < 0.4:
        volume.update(_limits(random, 20))
    return volume


def _allowance(
    random: Random, place: int, entries: list[dict[str, Any]]
) -> dict[str, Any] | None:
    entry = random.choice(entries)
    usage = entry["usage"]
    allowance: dict[str, Any] = {
        "name": f"allowance {place}",
        "usage": usage,
        "order": 10 - place,
        "pool": random.choice(("line", "customer")),
        "period": random.choice(("cycle", "once")),
    }
    if random.random() < 0.3:
        allowance["amount"] = _amount(random)
    elif entry.get("at_cost"):
        return None
    else:
        block = random.choice((1, 1, {"voice": 60, "data": 100_000}.get(usage, 2)))
        allowance["block"] = block
        top = {"voice": 6000, "data": 4_000_000}.get(usage, 8)
        allowance["size"] = block * random.randint(1, max(1, top // block))
        allowance["connect_fee"] = random.choice(("included", "charged"))
    if random.random() < 0.4:
        allowance["entries"] = [entry["name"]]
    if random.random() < 0.2 and "zones" in entry:
        allowance["zones"] = entry["zones"]
    if random.random() < 0.2:
        allowance["valid_from"] = date(2026, 10, 25)
    return allowance


def _limits(random: Random, top: int) -> dict[str, str]:
    least, most = sorted(random.randint(0, top * 100) for _ in range(2))
    both = {"minimum": f"{least / 100:.2f}", "maximum": f"{most / 100:.2f}"}
    return dict(random.sample(sorted(both.items()), random.randint(1, 2)))


def _amount(random: Random) -> str:
    return random.choice(
        ("0", "0.05", "1", "0.000001", "0.0405", f"0.{random.randint(0, 999_999):06d}")
    )
