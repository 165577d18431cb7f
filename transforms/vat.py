"""VAT: which rule a customer has, and what it adds to an invoice.

Pure. A rate is kept in hundredths of a percent (``_bp``), so that 21 % is 2100 and no
fraction of a percent is ever a float. VAT is worked out over whole cents, rounded with a
named mode, once for each rate on the invoice or once for each line.

Units: ``_cents`` whole cents, ``_bp`` hundredths of a percent.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from transforms.errors import ConfigError
from transforms.money import RoundingMode, round_ratio

Category = Literal["S", "Z", "E", "AE"]
"""Of UNCL 5305: standard rate, zero rate, exempt, reverse charge."""

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)

VatRounding = Literal["invoice", "line"]

FULL_BP: Final = 10_000
"""100 %, in hundredths of a percent."""

REVERSE_CHARGE: Final = "Btw verlegd"
"""What a Dutch invoice must say when the customer owes the VAT."""


@dataclass(frozen=True)
class VatRule:
    """How VAT is put on an invoice, or on one charge of it."""

    rate_bp: int = 2100
    category: Category = "S"
    rounding: VatRounding = "invoice"
    """Once for each rate of an invoice, or once for each of its lines."""
    mode: RoundingMode = "half-up"
    prices_include: bool = False
    """Whether prices hold VAT already; it is then taken out of them, never added."""
    reason: str = ""
    """Why no VAT is charged: must be given for category E."""


@dataclass(frozen=True)
class Taxed:
    """An amount and what VAT it falls under; ``vat_cents`` is null when not by line."""

    category: str
    rate_bp: int
    reason: str
    net_cents: int
    vat_cents: int | None = None


@dataclass(frozen=True)
class VatLine:
    """One line of the VAT breakdown: all of an invoice under one category and rate."""

    category: str
    rate_bp: int
    taxable_cents: int
    vat_cents: int
    reason: str = ""


def vat_of(net_cents: int, rule: VatRule) -> int:
    """Work out the VAT over an amount.

    21 % of 49.50 is 10.395: 10.40 under ``half-up``, 10.39 under ``down``.
    """
    return round_ratio(net_cents * rule.rate_bp, FULL_BP, rule.mode)


def vat_within(gross_cents: int, rule: VatRule) -> int:
    """Work out the VAT that a price holds: 21 % within 121.00 is 21.00."""
    return round_ratio(gross_cents * rule.rate_bp, FULL_BP + rule.rate_bp, rule.mode)


def breakdown(taxed: Iterable[Taxed], mode: RoundingMode) -> tuple[VatLine, ...]:
    """Add up an invoice by category and rate, and work out the VAT of each.

    Where every amount carries VAT of its own, that is added up; otherwise VAT is worked
    out once over the sum.

    Returns:
        The lines, dearest rate first.
    """
    groups: dict[tuple[str, int], list[Taxed]] = {}
    for each in taxed:
        groups.setdefault((each.category, each.rate_bp), []).append(each)
    lines = []
    for (category, rate_bp), members in groups.items():
        taxable = sum(each.net_cents for each in members)
        by_line = [each.vat_cents for each in members if each.vat_cents is not None]
        once = round_ratio(taxable * rate_bp, FULL_BP, mode)
        vat = sum(by_line) if len(by_line) == len(members) else once
        reasons = [each.reason for each in members if each.reason]
        reason = reasons[0] if reasons else ""
        lines.append(VatLine(category, rate_bp, taxable, vat, reason))
    return tuple(sorted(lines, key=lambda line: (-line.rate_bp, line.category)))


def percent_text(rate_bp: int) -> str:
    """Write a rate as people do: 2100 is ``21``, 950 is ``9.5``, 25 is ``0.25``."""
    whole, rest = divmod(rate_bp, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def read_percent(text: str) -> int:
    """Read a rate in percent: ``21`` is 2100, ``9.5`` and ``9,5`` are 950.

    Raises:
        ValueError: When it is not a percentage from 0 to 100 with at most two decimals.
    """
    found = re.fullmatch(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))?", text.strip())
    rate_bp = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else -1
    if not 0 <= rate_bp <= FULL_BP:
        message = f"{text!r} is not a percentage such as 21 or 9.5"
        raise ValueError(message)
    return rate_bp


def rule_of(details: Mapping[str, str], usual: VatRule, place: str) -> VatRule:
    """Read a customer's VAT rule from its details; what they do not say is as usual.

    ``vat_category`` (S, Z, E, AE), ``vat_rate`` in percent, ``vat_rounding`` (invoice or
    line) and ``vat_reason``. Any category but S has a rate of 0.

    Args:
        details: The further columns of ``customers.csv``.
        usual: The rule of the customer's plan, or of the settings.
        place: Whose details they are, for the message.

    Raises:
        ConfigError: Naming every detail that is not a VAT rule.
    """
    faults: list[str] = []
    category = details.get("vat_category", "") or usual.category
    rounding = details.get("vat_rounding", "") or usual.rounding
    if category not in CATEGORIES:
        faults.append(f"vat_category must be one of {', '.join(CATEGORIES)}")
    if rounding not in get_args(VatRounding):
        faults.append("vat_rounding must be invoice or line")
    rate_bp = usual.rate_bp
    if given := details.get("vat_rate", ""):
        try:
            rate_bp = read_percent(given)
        except ValueError as exc:
            faults.append(f"vat_rate: {exc}")
    reason = details.get("vat_reason", "") or usual.reason
    if category == "AE":
        reason = reason or REVERSE_CHARGE
        if not details.get("vat_number"):
            faults.append("vat_number is needed where VAT is reverse-charged (AE)")
    if category == "E" and not reason:
        faults.append("vat_reason is needed where a customer is exempt (E)")
    if category == "S" and rate_bp == 0:
        faults.append("vat_rate must be above 0 for category S; zero-rated is Z")
    if faults:
        message = f"{place}: {'; '.join(faults)}; mend customers.csv and load it again"
        raise ConfigError(message)
    is_standard = category == "S"
    return VatRule(
        rate_bp=rate_bp if is_standard else 0,
        category=category,  # type: ignore[arg-type]  # proven above
        rounding=rounding,  # type: ignore[arg-type]  # proven above
        mode=usual.mode,
        prices_include=usual.prices_include and is_standard,
        reason="" if is_standard or category == "Z" else reason,
    )
