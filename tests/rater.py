"""An independent rater: the rules of docs/rate-plans.md in plain Python, one event a time.

It reads the same TOML document as the product and shares no code with it: fractions
instead of whole numbers over a denominator, a walk along the clock instead of a step
function, a bucket that is emptied instead of running sums.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Document = Mapping[str, Any]
Rows = Sequence[Mapping[str, str]]

MEASURE = {"voice": "s", "data": "B"}
WORTH = {
    "": 1, "s": 1, "min": 60, "h": 3600, "event": 1, "B": 1, "kB": 10**3, "KiB": 2**10,
    "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30,
}  # fmt: skip
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@dataclass(frozen=True)
class Event:
    """One record as a tariff sheet sees it; ``start`` is an aware instant."""

    key: int
    customer: int
    line: str
    cycle: date
    zone_name: str
    usage: str
    start: datetime
    quantity: int | None
    destination: str | None = None
    zone: str | None = None
    direction: str = "out"
    continuation: bool = False
    cost: int | None = None

    @property
    def wall(self) -> datetime:
        """The customer's clock when the record began."""
        return self.start.astimezone(ZoneInfo(self.zone_name))


@dataclass
class Price:
    """What one event came to; amounts in micros, None for unrated."""

    charge: int | None = None
    entry: str | None = None
    in_allowance: int = 0
    overage: int = 0
    unrated: str | None = None


@dataclass
class Outcome:
    """Prices by event key, charges by cycle, and what is left by pool."""

    prices: dict[int, Price] = field(default_factory=dict)
    cycles: dict[tuple[int, date], int] = field(default_factory=dict)
    left: dict[tuple[int, date, str, str], int] = field(default_factory=dict)


def rate_plainly(
    plan: Document,
    files: Mapping[str, Rows],
    events: Sequence[Event],
    cycles: Sequence[tuple[int, date]],
) -> Outcome:
    """Price every event of every cycle."""
    rater = _Rater(plan, files)
    outcome = Outcome()
    volumes: dict[tuple[int, date, str, str], int] = defaultdict(int)
    charges: dict[tuple[int, date], int] = dict.fromkeys(cycles, 0)
    for event in sorted(events, key=lambda e: (e.customer, e.start, e.key)):
        entry, price = rater.price(event)
        outcome.prices[event.key] = price
        charges[event.customer, event.cycle] += price.charge or 0
        if entry is not None and "cycle_volume" in entry and rater.last_billable:
            name = entry["cycle_volume"]
            line = event.line if rater.volume(name).get("pool") == "line" else ""
            volumes[event.customer, event.cycle, name, line] += rater.last_billable
    for (customer, cycle, name, _), used in volumes.items():
        charges[customer, cycle] += rater.volume_charge(name, used)
    for pool, charge in charges.items():
        outcome.cycles[pool] = _bound(charge, plan.get("cycle", {}))
    outcome.left = rater.left(cycles, events)
    return outcome


class _Rater:
    def __init__(self, plan: Document, files: Mapping[str, Rows]) -> None:
        self.plan = plan
        self.entries = list(_entries(plan, files))
        self.deck = _deck(plan, files)
        self.rounding = plan.get("rounding", {"mode": "half-up", "decimals": 6})
        self.allowances = sorted(
            enumerate(plan.get("allowance", []), start=1),
            key=lambda each: ("size" not in each[1], each[1].get("order", each[0])),
        )
        self.used: dict[tuple[Any, ...], int] = defaultdict(int)
        self.drawn: dict[tuple[Any, ...], int] = defaultdict(int)
        self.last_billable = 0

    def price(self, event: Event) -> tuple[dict[str, Any] | None, Price]:
        self.last_billable = 0
        zone, entry, fault = self._entry(event)
        if fault is None:
            fault = self._fault(event, entry)
        if fault is not None or entry is None or event.quantity is None:
            return None, Price(unrated=fault or "no_entry")
        price = Price(entry=entry["label"])
        rest, fee_is_paid, is_covered = self._draw(event, entry, zone)
        price.in_allowance = event.quantity - rest
        price.overage = rest if is_covered else 0
        charge = self._charge(event, entry, rest, fee_is_paid=fee_is_paid)
        price.charge = self._pay(event, entry, zone, charge)
        return entry, price

    def _fault(self, event: Event, entry: dict[str, Any] | None) -> str | None:
        day = event.wall.date()
        start, end = self.plan.get("valid_from"), self.plan.get("valid_to")
        if (start and day < start) or (end and day >= end):
            return "plan_not_valid"
        if event.quantity is None:
            return "quantity_missing"
        if entry and entry.get("at_cost") and event.cost is None:
            return "cost_missing"
        return None

    # Which entry covers an event.

    def _entry(self, event: Event) -> tuple[str, dict[str, Any] | None, str | None]:
        zones = self.plan.get("zones", {})
        zone = ""
        if zones and event.zone:
            own = [name for name, words in zones.items() if event.zone in words]
            if not own:
                late = self._fault(event, None)
                return "", None, late or "zone_unknown"
            zone = own[0]
        for scope in [zone, ""] if zone else [""]:
            entry = self._in_scope(event, scope)
            if entry is not None:
                return zone, entry, None
        return zone, None, self._fault(event, None) or "no_entry"

    def _in_scope(self, event: Event, scope: str) -> dict[str, Any] | None:
        here = [
            entry
            for entry in self.entries
            if entry["usage"] == event.usage
            and entry.get("direction", "out") in (event.direction, "any")
            and (scope in entry.get("zones", []) if scope else not entry.get("zones"))
        ]
        text = event.destination or ""
        deck_length, destination = _longest(self.deck, text)
        claims: list[tuple[int, int, int, dict[str, Any] | None]] = []
        default: dict[str, Any] | None = None
        for entry in sorted(here, key=lambda each: each.get("weight", 0)):
            weight = entry.get("weight", 0)
            own = {prefix: prefix for prefix in entry.get("prefixes", [])}
            length, _ = _longest(own, text)
            if length:
                claims.append((length, 1, weight, entry))
            if destination is not None and destination in entry.get("destinations", []):
                claims.append((deck_length, 1, weight, entry))
            if not own and not entry.get("destinations"):
                default = entry
        # A destination of the deck that no entry names is the default's, not a
        # shorter prefix's.
        if destination is not None:
            claims.append((deck_length, 0, 0, default))
        if not claims:
            return default
        return max(claims, key=lambda claim: claim[:3])[3]

    # Allowances.

    def _pool(self, allowance: Document, event: Event) -> tuple[Any, ...]:
        cycle = event.cycle if allowance.get("period", "cycle") == "cycle" else None
        line = event.line if allowance.get("pool", "customer") == "line" else ""
        return (allowance["name"], event.customer, cycle, line)

    def _covers(
        self, allowance: Document, entry: Document, event: Event, zone: str
    ) -> bool:
        usage = allowance["usage"]
        day = event.wall.date()
        return (
            event.usage in ([usage] if isinstance(usage, str) else usage)
            and (not allowance.get("entries") or entry["name"] in allowance["entries"])
            and (not allowance.get("zones") or zone in allowance["zones"])
            and not ("valid_from" in allowance and day < allowance["valid_from"])
            and not ("valid_to" in allowance and day >= allowance["valid_to"])
        )

    def _draw(self, event: Event, entry: Document, zone: str) -> tuple[int, bool, bool]:
        rest = event.quantity or 0
        fee_is_paid = is_covered = False
        for _, allowance in self.allowances:
            if "size" not in allowance or (not rest and not event.quantity):
                continue
            if entry.get("at_cost") or not self._covers(allowance, entry, event, zone):
                continue
            is_covered = True
            size, block = _units(allowance["size"]), _units(allowance.get("block", "1"))
            pool = self._pool(allowance, event)
            needed = -(-rest // block) * block
            given = min(needed, size - self.used[pool])
            self._note(allowance, event, given)
            covered = min(rest, given)
            if covered and rest == event.quantity:
                fee_is_paid = allowance.get("connect_fee", "included") == "included"
            rest -= covered
        return rest, fee_is_paid, is_covered

    def _pay(self, event: Event, entry: Document, zone: str, charge: int) -> int:
        for _, allowance in self.allowances:
            if "amount" in allowance and self._covers(allowance, entry, event, zone):
                pool = self._pool(allowance, event)
                left = _micros(allowance["amount"]) - self.used[pool]
                given = min(max(charge, 0), left)
                self._note(allowance, event, given)
                charge -= given
        return charge

    def _note(self, allowance: Document, event: Event, given: int) -> None:
        pool = self._pool(allowance, event)
        self.used[pool] += given
        self.drawn[(*pool[:2], event.cycle, pool[3])] += given

    def left(
        self, cycles: Sequence[tuple[int, date]], events: Sequence[Event]
    ) -> dict[tuple[int, date, str, str], int]:
        """What is left at the end of each cycle; of each line that was heard of."""
        found: dict[tuple[int, date, str, str], int] = {}
        for _, allowance in self.allowances:
            name, is_once = allowance["name"], allowance.get("period") == "once"
            size = (
                _units(allowance["size"])
                if "size" in allowance
                else _micros(allowance["amount"])
            )
            for customer, cycle in cycles:
                heard = {
                    event.line
                    for event in events
                    if event.customer == customer and (is_once or event.cycle == cycle)
                }
                lines = heard if allowance.get("pool") == "line" else {""}
                for line in lines:
                    used = sum(
                        given
                        for (which, who, when, whose), given in self.drawn.items()
                        if (which, who, whose) == (name, customer, line)
                        and (when == cycle or (is_once and when < cycle))
                    )
                    found[customer, cycle, line, name] = size - used
        return found

    # What is left of an event costs.

    def _charge(
        self, event: Event, entry: Document, rest: int, *, fee_is_paid: bool
    ) -> int:
        if entry.get("at_cost"):
            share = 1 + Fraction(str(entry.get("markup", "0"))) / 100
            return self.round(Fraction(event.cost or 0) * share)
        exact = Fraction(0)
        is_charged = bool(event.quantity) or entry.get("zero_length") == "connect_fee"
        if is_charged and not event.continuation and not fee_is_paid:
            window = self._window(event.start, event) if "windows" in entry else None
            own = entry["windows"][window] if window else {}
            exact += _price(own.get("connect_fee", entry.get("connect_fee", "0")))
        billable = _billable(rest, entry.get("increment", "1/1"))
        self.last_billable = billable
        if rest and "cycle_volume" not in entry:
            exact += self._usage(event, entry, rest, billable)
        charge = self.round(exact)
        if rest and not event.continuation and "minimum" in entry:
            charge = max(charge, _micros(entry["minimum"]))
        if "maximum" in entry:
            charge = min(charge, _micros(entry["maximum"]))
        return charge

    def _usage(self, event: Event, entry: Document, rest: int, billable: int) -> Fraction:
        quantity = event.quantity or 0
        begin = quantity - rest
        if "tiers" in entry:
            tier = next(
                tier
                for tier in entry["tiers"]
                if "up_to" not in tier or quantity <= _units(tier["up_to"])
            )
            return _flat(tier) + billable * _each(tier, entry)
        if "windows" not in entry:
            return _stretch(entry, entry, begin, begin + billable)
        if event.usage != "voice":
            own = entry["windows"][self._window(event.start, event)]
            return _stretch(own, entry, begin, begin + billable)
        total = Fraction(0)
        for first, last, window in self._walk(event, begin, quantity):
            end = last + (billable - rest if last == quantity else 0)
            total += _stretch(entry["windows"][window], entry, first, end)
        return total

    def _walk(
        self, event: Event, begin: int, quantity: int
    ) -> Iterator[tuple[int, int, str]]:
        """Walk along the clock from full minute to full minute."""
        now = begin
        while now < quantity:
            instant = event.start + timedelta(seconds=now)
            to_next_minute = 60 - instant.second
            after = min(quantity, now + to_next_minute)
            yield now, after, self._window(instant, event)
            now = after

    def _window(self, instant: datetime, event: Event) -> str:
        wall = instant.astimezone(ZoneInfo(event.zone_name))
        is_holiday = wall.date() in self.plan.get("holidays", [])
        day = "holiday" if is_holiday else WEEK[wall.weekday()]
        clock = f"{wall.hour:02d}:{wall.minute:02d}"
        for name, spans in self.plan["windows"].items():
            for span in spans:
                days, times = span.split(" ")
                start, end = times.split("-")
                if day in _days(days) and start <= clock < end:
                    return str(name)
        raise AssertionError(clock)

    # Cycles.

    def volume(self, name: str) -> dict[str, Any]:
        return next(each for each in self.plan["cycle_volume"] if each["name"] == name)

    def volume_charge(self, name: str, used: int) -> int:
        volume = self.volume(name)
        exact, begin = Fraction(0), 0
        if volume["mode"] == "package":
            exact = -(-used // _units(volume["package"])) * _price(volume["price"])
        for tier in volume.get("tiers", []):
            end = _units(tier["up_to"]) if "up_to" in tier else max(used, begin)
            if volume["mode"] == "volume" and begin < used <= end:
                exact = used * _each(tier, volume) + _flat(tier)
            if volume["mode"] == "graduated" and used > begin:
                exact += (min(used, end) - begin) * _each(tier, volume) + _flat(tier)
            begin = end
        return _bound(self.round(exact), volume)

    def round(self, micros: Fraction) -> int:
        """Round micros once, to the plan's decimals, by its mode."""
        step = 10 ** (6 - self.rounding.get("decimals", 6))
        exact = abs(micros) / step
        whole = exact.numerator // exact.denominator
        over = exact - whole
        half = Fraction(1, 2)
        up = {
            "up": over > 0,
            "half-up": over >= half,
            "half-even": over > half or (over == half and whole % 2 == 1),
            "down": False,
        }[self.rounding["mode"]]
        rounded: int = (whole + up) * step
        return -rounded if micros < 0 else rounded


def _entries(plan: Document, files: Mapping[str, Rows]) -> Iterator[dict[str, Any]]:
    for entry in plan["entry"]:
        if "prices" not in entry:
            yield {**entry, "label": entry["name"]}
            continue
        for row in files[entry["prices"]]:
            label = f"{entry['name']}: {row['destination']}"
            listed = {**entry, "label": label, "destinations": [row["destination"]]}
            if row.get("increment"):
                listed["increment"] = row["increment"]
            if row.get("connect_fee"):
                listed["connect_fee"] = row["connect_fee"]
            if "price" in row:
                listed["price"] = row["price"]
            else:
                listed["windows"] = {
                    name: {"price": row[f"price.{name}"]} for name in plan["windows"]
                }
            yield listed


def _deck(plan: Document, files: Mapping[str, Rows]) -> dict[str, str]:
    heaviest: dict[str, tuple[int, str]] = {}
    for name in plan.get("decks", []):
        for row in files[name]:
            weight = int(row.get("weight") or 0)
            if row["prefix"] not in heaviest or heaviest[row["prefix"]][0] < weight:
                heaviest[row["prefix"]] = (weight, row["destination"])
    return {prefix: destination for prefix, (_, destination) in heaviest.items()}


def _longest(leads: Mapping[str, str], text: str) -> tuple[int, str | None]:
    """How long the longest matching prefix is, and where it leads; = is a whole text."""
    best: tuple[int, str | None] = (0, None)
    for prefix, to in leads.items():
        if prefix.startswith("="):
            length = 1000 if text == prefix[1:] else 0
        else:
            plain = f"+{prefix.lstrip('+')}"
            length = len(plain) if text.startswith(plain) else 0
        if length > best[0]:
            best = (length, to)
    return best


def _days(words: str) -> list[str]:
    found: list[str] = []
    for word in words.split(","):
        if "-" in word:
            first, last = word.split("-")
            found += WEEK[WEEK.index(first) : WEEK.index(last) + 1]
        else:
            found += {"daily": WEEK, "always": [*WEEK, "holiday"]}.get(word, [word])
    return found


def _units(text: str | int) -> int:
    """Whole seconds, bytes or events of ``500 min`` or ``MB``."""
    found = re.fullmatch(r"([0-9.]*) *([A-Za-z]*)", str(text))
    assert found is not None
    return int(Fraction(found[1] or "1") * WORTH[found[2]])


def _price(value: Any) -> Fraction:  # noqa: ANN401 - an amount as TOML gives it
    """An amount in micros, exact."""
    return Fraction(str(value)) * 10**6


def _micros(value: Any) -> int:  # noqa: ANN401 - an amount as TOML gives it
    return int(_price(value))


def _each(tier: Document, entry: Document) -> Fraction:
    """What one unit costs, in micros."""
    per = tier.get("per", entry.get("per", "1"))
    return _price(tier.get("price", "0")) / _units(per)


def _flat(tier: Document) -> Fraction:
    return _price(tier.get("flat", "0"))


def _stretch(priced: Document, entry: Document, first: int, end: int) -> Fraction:
    """What the units from ``first`` to ``end`` of a record cost, by its steps."""
    total, begin = Fraction(0), 0
    for step in priced.get("steps", [priced]):
        stop = _units(step["up_to"]) if "up_to" in step else max(end, begin)
        units = max(0, min(end, stop) - max(first, begin))
        own = {"per": priced["per"]} if "per" in priced else {}
        total += units * _each({**own, **step}, entry)
        begin = stop
    return total


def _billable(rest: int, increment: str) -> int:
    """A first block, then steps, for as long as usage goes on."""
    if rest == 0:
        return 0
    first, step = (_units(part.strip()) for part in increment.split("/"))
    beyond = max(0, rest - first)
    return first + (beyond // step + (beyond % step > 0)) * step


def _bound(charge: int, limits: Document) -> int:
    if "minimum" in limits:
        charge = max(charge, _micros(limits["minimum"]))
    if "maximum" in limits:
        charge = min(charge, _micros(limits["maximum"]))
    return charge
