"""Insights: what a person should look at, what kinds there are, and from where on.

Pure. The finders are in ``transforms.insights_of_cycles`` and ``…_of_deliveries``. A
finding depends on its frames, the thresholds and the day alone: the same input tells the
same thing again. It has a subject: what it is about, beside its kind, its customer and its
provider. When the figures change, the new finding takes the place of the one about that
subject.

Evidence names lines of the customer's own; whom somebody called is never in it.

Units: ``_micros`` whole micros, ``_percent`` whole percent, ``_amount`` whole units of the
customer's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

Severity = Literal["info", "warning", "alarm"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "alarm")
"""From what is good to know to what cannot wait."""

OF_A_CYCLE: Final = (
    "usage_jump",
    "new_premium",
    "new_roaming",
    "negative_margin",
    "allowance_nearly_used",
    "call_burst",
)
"""Kinds that are judged whenever the totals of a cycle have changed."""

SILENT_LINES: Final = "silent_lines"
OF_AN_ENDED_CYCLE: Final = ("allowance_unused", SILENT_LINES)
"""Kinds that can be judged only when a cycle is over."""

MISSING_DELIVERY: Final = "missing_delivery"
OF_DELIVERIES: Final = (
    MISSING_DELIVERY,
    "late_delivery",
    "duplicate_share",
    "unmatched_numbers",
)
"""Kinds about what providers bring."""

PROVIDER_INVOICE: Final = "provider_invoice"
"""What a provider charges is not what its delivery says; found when it is invoiced."""

KINDS: Final = (*OF_A_CYCLE, *OF_AN_ENDED_CYCLE, *OF_DELIVERIES, PROVIDER_INVOICE)


@dataclass(frozen=True)
class Insight:
    """One finding: what kind, about whom and what, and the figures behind it."""

    kind: str
    severity: Severity
    evidence: Mapping[str, object] = field(default_factory=dict)
    customer_id: int | None = None
    provider: str | None = None
    cycle_start_date: date | None = None
    subject: str = ""


@dataclass(frozen=True)
class Thresholds:
    """From where on something is worth a look: ``[insights]`` of the settings."""

    history_cycles: int
    jump_percent: int
    jump_amount: int
    new_use_amount: int
    loss_amount: int
    allowance_percent: int
    unused_percent: int
    silent_cycles: int
    burst_minutes: int
    burst_calls: int
    burst_amount: int
    dear_call_amount: int
    unmatched_records: int
    duplicate_percent: int
    duplicate_records: int
    missing_days: int
    late_days: int
    home_countries: tuple[str, ...]
    home_network: str
