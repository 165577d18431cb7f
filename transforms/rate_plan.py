"""The rate plan: schema ``cdr-rate-plan/1`` as values.

Pure. A rate plan is a TOML file with its prefix decks; ``docs/rate-plans.md`` teaches the
format, ``transforms.rate_plan_reading`` makes these values from a document, whole and
checked. The classes follow the file table by table.

Units: ``_micros`` whole micros; ``_nanos`` 1e-9 of the currency, because a price for one
byte is finer than a micro; quantities are whole seconds, bytes or events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from transforms.money import RoundingMode
from transforms.profile import Usage

SCHEMA: Final = "cdr-rate-plan/1"

Unit = Literal["s", "bytes", "events"]
Direction = Literal["out", "in"]
ZeroLength = Literal["free", "connect_fee"]
VolumeMode = Literal["graduated", "volume", "package"]
Pool = Literal["line", "customer"]
PlanChargeKind = Literal["recurring", "one_off", "discount"]
Period = Literal["cycle", "once"]
CoveredFee = Literal["included", "charged"]
VatRounding = Literal["line", "invoice"]

UNIT_OF: Final[Mapping[Usage, Unit]] = {
    "voice": "s",
    "data": "bytes",
    "sms": "events",
    "mms": "events",
    "content": "events",
    "fee": "events",
    "adjustment": "events",
}
"""What each usage type is measured in."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY: Final = "holiday"
DAY_TYPES: Final = (*WEEKDAYS, HOLIDAY)
"""The kinds of day a window speaks of; a holiday is none of the weekdays."""

MINUTES_A_DAY: Final = 1440

ALWAYS: Final = ""
"""The window of a price that holds at all times."""


@dataclass(frozen=True)
class Rounding:
    """The one rounding of an exact sum: its named mode, and to how many decimals."""

    mode: RoundingMode = "half-up"
    decimals: int = 6


@dataclass(frozen=True)
class Vat:
    """How VAT is put on an invoice: data for the invoice, not used by rating."""

    rate: str = "0"
    """Percent as a decimal number, such as ``21``."""
    prices_include: bool = False
    rounding: VatRounding = "invoice"


@dataclass(frozen=True)
class Limits:
    """A least and a most; None is no bound."""

    minimum_micros: int | None = None
    maximum_micros: int | None = None


@dataclass(frozen=True)
class Span:
    """Part of one kind of day, in minutes from midnight: start is in, end is out."""

    day: str
    start: int
    end: int


@dataclass(frozen=True)
class Step:
    """The price of each unit up to an elapsed quantity; None is open."""

    up_to: int | None
    price_nanos: int
    per: int


@dataclass(frozen=True)
class Tier:
    """What a record, or a cycle's volume, of up to a quantity pays; None is open."""

    up_to: int | None
    price_nanos: int
    per: int
    flat_nanos: int = 0


@dataclass(frozen=True)
class Tariff:
    """Prices that hold in one window: for connecting, and for each elapsed unit."""

    steps: tuple[Step, ...]
    connect_nanos: int = 0


@dataclass(frozen=True)
class Increment:
    """How usage is rounded up: the first block, then steps (``60/6``)."""

    first: int = 1
    step: int = 1


@dataclass(frozen=True)
class Entry:
    """What one kind of usage costs.

    Exactly one of ``tariffs``, ``tiers``, ``markup_bp`` and ``volume`` prices it.
    """

    name: str
    """Of a price list's line: the entry's name and the destination."""
    group: str
    """The name as the file gives it; allowances refer to it."""
    usage: Usage
    directions: tuple[Direction, ...] = ("out",)
    zones: tuple[str, ...] = ()
    """The plan's zones it covers; none is any."""
    destinations: tuple[str, ...] = ()
    """Destinations of the decks it covers."""
    prefixes: tuple[str, ...] = ()
    """Prefixes of its own; without these and destinations it covers any destination."""
    weight: int = 0
    increment: Increment = field(default_factory=Increment)
    zero_length: ZeroLength = "free"
    limits: Limits = field(default_factory=Limits)
    connect_nanos: int = 0
    """Fee of an entry that is priced by tiers or by the volume of the cycle."""
    tariffs: Mapping[str, Tariff] = field(default_factory=dict)
    """By window, or one under ``ALWAYS``."""
    tiers: tuple[Tier, ...] = ()
    """By the quantity of the whole record."""
    markup_bp: int | None = None
    """At the provider's cost, raised by so many hundredths of a percent."""
    volume: str = ""
    """The cycle-volume pricing it counts towards."""

    @property
    def unit(self) -> Unit:
        """What its usage is measured in."""
        return UNIT_OF[self.usage]


@dataclass(frozen=True)
class CycleVolume:
    """A price for all usage of its entries in a cycle together."""

    name: str
    mode: VolumeMode
    tiers: tuple[Tier, ...]
    """Of a package: one tier with the price of one package and its size as ``per``."""
    pool: Pool = "customer"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Allowance:
    """Usage, or money, that is paid for already."""

    name: str
    order: int
    units: int | None = None
    """Seconds, bytes or events; None for an allowance of money."""
    amount_micros: int | None = None
    usage: tuple[Usage, ...] = ()
    entries: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    block: int = 1
    pool: Pool = "customer"
    period: Period = "cycle"
    connect_fee: CoveredFee = "included"
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def size(self) -> int:
        """Units, or micros, there are to use."""
        return self.units if self.units is not None else self.amount_micros or 0


@dataclass(frozen=True)
class PlanCharge:
    """Something a plan charges beside usage."""

    name: str
    kind: PlanChargeKind
    amount_micros: int
    """Of one piece; a discount takes it off."""
    per: Pool = "customer"


@dataclass(frozen=True)
class DeckLine:
    """One prefix of a deck: where it leads. ``=112`` is a whole destination."""

    prefix: str
    destination: str
    weight: int = 0


@dataclass(frozen=True)
class RatePlan:
    """One rate plan, whole and checked. Validity is half-open; None is open."""

    id: str
    name: str
    currency: str
    timezone: str
    sha256: str
    """Hash of the TOML bytes and of every file it names: the version of the plan."""
    valid_from: date | None = None
    valid_to: date | None = None
    rounding: Rounding = field(default_factory=Rounding)
    vat: Vat = field(default_factory=Vat)
    cycle: Limits = field(default_factory=Limits)
    holidays: frozenset[date] = frozenset()
    windows: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What records call each zone of the plan."""
    deck: tuple[DeckLine, ...] = ()
    """Every prefix of every deck once; where weights differed the heaviest won."""
    entries: tuple[Entry, ...] = ()
    volumes: tuple[CycleVolume, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    """In the order they are used."""
    charges: tuple[PlanCharge, ...] = ()
