"""The reference model: totals in plain Python, with Decimal, and nothing of the engine.

Independent of the code under test on purpose: no Polars, no DuckDB, no integers of micros
inside. A test feeds both the same records and compares every figure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Usage:
    """One record, as a clerk would write it down; the price is in euros."""

    customer_id: int
    call_date: datetime
    usage_type: str
    zone: str | None = None
    duration_s: int | None = None
    volume_bytes: int | None = None
    events: int | None = None
    price: Decimal | None = None


@dataclass(frozen=True)
class CycleAsked:
    """One cycle to total: ``[start, end)`` on the customer's wall clock."""

    customer_id: int
    start: date
    end: date

    def holds(self, usage: Usage) -> bool:
        """Tell whether a record falls in this cycle."""
        day = usage.call_date.date()
        return usage.customer_id == self.customer_id and self.start <= day < self.end


@dataclass
class Line:
    """What one usage type in one zone adds up to."""

    count: int = 0
    unrated: int = 0
    duration_s: int = 0
    volume_bytes: int = 0
    events: int = 0
    price: Decimal = Decimal(0)

    def add(self, usage: Usage) -> None:
        """Count one record; one without a price adds no money."""
        self.count += 1
        self.unrated += usage.price is None
        self.duration_s += usage.duration_s or 0
        self.volume_bytes += usage.volume_bytes or 0
        self.events += usage.events or 0
        self.price += usage.price or 0


@dataclass
class Total:
    """One cycle: its lines by usage type and zone, and what they add up to."""

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)

    @property
    def price(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.price for line in self.lines.values()), Decimal(0))

    @property
    def count(self) -> int:
        """All records of the cycle."""
        return sum(line.count for line in self.lines.values())

    @property
    def unrated(self) -> int:
        """The records without a price."""
        return sum(line.unrated for line in self.lines.values())


def totals(
    records: Iterable[Usage], cycles: Iterable[CycleAsked]
) -> dict[CycleAsked, Total]:
    """Add up each asked cycle, one record after the other."""
    kept = list(records)
    result: dict[CycleAsked, Total] = {}
    for cycle in cycles:
        total = result.setdefault(cycle, Total())
        for usage in kept:
            if cycle.holds(usage):
                key = (usage.usage_type, usage.zone or "")
                total.lines.setdefault(key, Line()).add(usage)
    return result


def micros(price: Decimal) -> int:
    """Euros as whole micros; a price with a part below a micro is not one of ours."""
    whole = price / MICRO
    assert whole == int(whole)
    return int(whole)
