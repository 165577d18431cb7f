"""Invoicing: from the totals of a cycle to the lines of an invoice.

Pure, and the only place where micros become cents. Each line is rounded to cents by the
named mode, the invoice once over its exact sum; what the two differ by is one line named
rounding. So what a customer pays never depends on how the usage was cut into lines.

Three calls worth 0.1215 and 500 MB worth 2.3451 make lines of 0.12 and 2.35 (half-up), a
sum of 2.4666 that is 2.47, and no cent to round; 0.0034 is kept in micros. A delta
invoice brings what was invoiced to what the whole cycle comes to now, to the cent.

Units: ``_micros`` whole micros, ``_cents`` whole cents, ``_bp`` hundredths of a percent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from transforms.invoice import (
    MICROS_A_CENT,
    Amounts,
    Draft,
    InvoiceLine,
    LineKind,
)
from transforms.invoice_texts import Language
from transforms.money import RoundingMode, round_ratio
from transforms.rating_cycle import MAXIMUM_LINE, MINIMUM_LINE, VOLUME_LINE
from transforms.vat import Taxed, VatLine, VatRule, breakdown, vat_of, vat_within

ChargeKind = Literal["recurring", "one_off", "discount", "minimum"]

ORDER: Final = ("voice", "sms", "mms", "data", "content", "fee", "adjustment")
"""In which order usage stands on an invoice; other types come after it."""

OF_THE_CYCLE: Final = (VOLUME_LINE, MINIMUM_LINE, MAXIMUM_LINE)
"""Usage types of lines that a plan charges for the whole cycle: no record adds to them.
They stand below all usage, in this order."""

LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "nl": {
        "voice": "Bellen",
        "data": "Data",
        "sms": "Sms",
        "mms": "Mms",
        "content": "Betaalde diensten",
        "fee": "Kosten van de aanbieder",
        "adjustment": "Correctie",
        VOLUME_LINE: "Volume",
        MINIMUM_LINE: "Aanvulling tot het minimum",
        MAXIMUM_LINE: "Korting boven het maximum",
        "rounding": "Afronding",
        "vat_included": "Btw begrepen in de prijzen",
    },
    "en": {
        "voice": "Calls",
        "data": "Data",
        "sms": "Text messages",
        "mms": "Picture messages",
        "content": "Paid services",
        "fee": "Provider's fees",
        "adjustment": "Correction",
        VOLUME_LINE: "Volume",
        MINIMUM_LINE: "Addition up to the minimum",
        MAXIMUM_LINE: "Reduction to the maximum",
        "rounding": "Rounding",
        "vat_included": "VAT included in the prices",
    },
}
"""What a line is called, by language and usage type."""


@dataclass(frozen=True)
class Usage:
    """A line of the totals: all usage of one type and zone in the cycle."""

    usage_type: str
    zone: str
    cdr_count: int
    duration_s: int
    volume_bytes: int
    events: int
    cost_micros: int


@dataclass(frozen=True)
class Charge:
    """Something charged beside usage; a discount's amount is below zero."""

    kind: ChargeKind
    name: str
    amount_micros: int
    """Of all pieces together."""
    quantity: int = 1
    vat: VatRule | None = None
    """A rule of its own; None is the invoice's."""


@dataclass(frozen=True)
class Terms:
    """Under which rules an invoice is made."""

    vat: VatRule = field(default_factory=VatRule)
    mode: RoundingMode = "half-up"
    """How micros become cents."""
    language: Language = "nl"


def terms_record(terms: Terms) -> dict[str, str]:
    """Write terms as texts, to be kept with the invoice they made."""
    vat = terms.vat
    return {
        "language": terms.language,
        "rounding": terms.mode,
        "vat_category": vat.category,
        "vat_rate_bp": str(vat.rate_bp),
        "vat_rounding": vat.rounding,
        "vat_mode": vat.mode,
        "vat_included": "yes" if vat.prices_include else "no",
        "vat_reason": vat.reason,
    }


def terms_from(record: Mapping[str, str]) -> Terms:
    """Read back what :func:`terms_record` wrote."""
    vat = VatRule(
        rate_bp=int(record["vat_rate_bp"]),
        category=record["vat_category"],  # type: ignore[arg-type]  # written by us
        rounding=record["vat_rounding"],  # type: ignore[arg-type]  # written by us
        mode=record["vat_mode"],  # type: ignore[arg-type]  # written by us
        prices_include=record["vat_included"] == "yes",
        reason=record["vat_reason"],
    )
    return Terms(
        vat,
        record["rounding"],  # type: ignore[arg-type]  # written by us
        record["language"],  # type: ignore[arg-type]  # written by us
    )


def invoice_amounts(
    usage: Iterable[Usage], charges: Iterable[Charge], terms: Terms
) -> Amounts:
    """Make the lines, the VAT and the sums of an invoice.

    Args:
        usage: The lines of the cycle's totals.
        charges: What is charged beside it.
        terms: VAT, rounding and language.
    """
    extra = list(charges)
    priced = _priced(usage, extra, terms)
    cents = round_ratio(_sum_micros(priced), MICROS_A_CENT, terms.mode)
    own_rules = [each.vat for each in extra if each.vat is not None]
    reasons: Reasons = {(rule.category, rule.rate_bp): rule.reason for rule in own_rules}
    return _summed(priced, cents, terms, reasons)


def delta_amounts(
    before: Sequence[Amounts], usage: Iterable[Usage], terms: Terms
) -> Amounts | None:
    """Make the correction that brings what was invoiced to what a cycle comes to now.

    Invoiced were 2.47 over an exact 2.4666; the cycle comes to 2.4749 now, which is 2.47:
    there is nothing to correct. At 2.4751 it is 2.48, and the correction is 0.01.

    Args:
        before: The amounts of the documents of the cycle that stand.
        usage: The lines of the totals as they are now.
        terms: Those of the first document: VAT is owed as at the time of the supply.

    Returns:
        The amounts of the correction, or None when it would come to 0.00.
    """
    old = _usage_lines(before)
    new = {(each.usage_type, each.zone): each for each in usage}
    nothing = Usage("", "", 0, 0, 0, 0, 0)
    changed = [
        _difference(new.get(key, nothing), old.get(key, nothing), key)
        for key in old.keys() | new.keys()
    ]
    lines = _priced([each for each in changed if not _is_nothing(each)], (), terms)
    charged = sum(each.charges_micros - _included(each) for each in before)
    exact = charged + sum(each.cost_micros for each in new.values())
    stands = sum(each.net_cents - _included(each) // MICROS_A_CENT for each in before)
    due = round_ratio(exact, MICROS_A_CENT, terms.mode) - stands
    return _summed(lines, due, terms, {}) if due else None


def credit_amounts(before: Sequence[Amounts]) -> Amounts:
    """Take back every document of a cycle, line by line and cent by cent.

    Of several documents the roundings are one line.
    """
    taken = _one_rounding([line for amounts in before for line in amounts.lines])
    lines = tuple(
        replace(
            line,
            line_no=number,
            quantity=-line.quantity,
            duration_s=-line.duration_s,
            volume_bytes=-line.volume_bytes,
            events=-line.events,
            amount_micros=-line.amount_micros,
            amount_cents=-line.amount_cents,
            vat_cents=None if line.vat_cents is None else -line.vat_cents,
        )
        for number, line in enumerate(taken, start=1)
    )
    groups: dict[tuple[str, int], VatLine] = {}
    for each in (line for amounts in before for line in amounts.vat):
        key = (each.category, each.rate_bp)
        sofar = groups.get(key, VatLine(each.category, each.rate_bp, 0, 0, each.reason))
        groups[key] = replace(
            sofar,
            taxable_cents=sofar.taxable_cents - each.taxable_cents,
            vat_cents=sofar.vat_cents - each.vat_cents,
        )
    return Amounts(
        usage_micros=-sum(each.usage_micros for each in before),
        charges_micros=-sum(each.charges_micros for each in before),
        rounding_micros=-sum(each.rounding_micros for each in before),
        net_cents=-sum(each.net_cents for each in before),
        vat_cents=-sum(each.vat_cents for each in before),
        gross_cents=-sum(each.gross_cents for each in before),
        lines=lines,
        vat=tuple(sorted(groups.values(), key=lambda line: (-line.rate_bp, line.category))),
    )


def standing(documents: Sequence[Draft]) -> list[Draft]:
    """The documents of a cycle that stand: those since its last credit note."""
    kept: list[Draft] = []
    for each in sorted(documents, key=lambda document: document.document_no):
        kept = [] if each.kind == "credit" else [*kept, each]
    return kept


# --- lines --------------------------------------------------------------------------------


def _priced(
    usage: Iterable[Usage], charges: Iterable[Charge], terms: Terms
) -> list[InvoiceLine]:
    labels = LABELS[terms.language]
    lines = [
        InvoiceLine(
            line_no=0,
            kind="usage",
            name=place_name(each.usage_type, each.zone, labels),
            usage_type=each.usage_type,
            zone=each.zone,
            quantity=each.cdr_count,
            duration_s=each.duration_s,
            volume_bytes=each.volume_bytes,
            events=each.events,
            amount_micros=each.cost_micros,
            amount_cents=round_ratio(each.cost_micros, MICROS_A_CENT, terms.mode),
            vat_category=terms.vat.category,
            vat_rate_bp=terms.vat.rate_bp,
            vat_cents=None,
        )
        for each in sorted(usage, key=_place)
    ]
    lines += [
        _plain_line(
            each.kind,
            each.name,
            each.amount_micros,
            round_ratio(each.amount_micros, MICROS_A_CENT, terms.mode),
            each.vat or terms.vat,
            quantity=each.quantity,
        )
        for each in charges
    ]
    return lines


def _place(usage: Usage) -> tuple[int, str, str]:
    rank = len(ORDER)
    if usage.usage_type in ORDER:
        rank = ORDER.index(usage.usage_type)
    if usage.usage_type in OF_THE_CYCLE:
        rank += 1 + OF_THE_CYCLE.index(usage.usage_type)
    return rank, usage.usage_type, usage.zone


def place_name(usage_type: str, zone: str, labels: Mapping[str, str]) -> str:
    """Name usage by its type and zone: ``Bellen, EU``."""
    label = labels.get(usage_type, usage_type)
    return f"{label}, {zone}" if zone else label


def _plain_line(
    kind: LineKind,
    name: str,
    amount_micros: int,
    amount_cents: int,
    rule: VatRule,
    *,
    quantity: int = 1,
) -> InvoiceLine:
    return InvoiceLine(
        line_no=0,
        kind=kind,
        name=name,
        usage_type="",
        zone="",
        quantity=quantity,
        duration_s=0,
        volume_bytes=0,
        events=0,
        amount_micros=amount_micros,
        amount_cents=amount_cents,
        vat_category=rule.category,
        vat_rate_bp=rule.rate_bp,
        vat_cents=None,
    )


Reasons = Mapping[tuple[str, int], str]
"""Why charges with a VAT rule of their own bear none, by category and rate."""


def _summed(
    lines: list[InvoiceLine], priced_cents: int, terms: Terms, reasons: Reasons
) -> Amounts:
    """Close lines with their rounding and VAT; they are to come to ``priced_cents``."""
    labels = LABELS[terms.language]
    rounding_micros = priced_cents * MICROS_A_CENT - _sum_micros(lines)
    rounding_cents = priced_cents - sum(each.amount_cents for each in lines)
    closed = list(lines)
    if rounding_micros or rounding_cents:
        closed.append(
            _plain_line(
                "rounding", labels["rounding"], rounding_micros, rounding_cents, terms.vat
            )
        )
    within = _vat_within(closed, terms)
    if within:
        closed.append(
            _plain_line(
                "vat_included",
                labels["vat_included"],
                -within * MICROS_A_CENT,
                -within,
                terms.vat,
            )
        )
    numbered = _taxed(closed, terms)
    own_reason: Reasons = {(terms.vat.category, terms.vat.rate_bp): terms.vat.reason}
    vat = _breakdown(numbered, terms, {**reasons, **own_reason}, within)
    net_cents = sum(each.amount_cents for each in numbered)
    vat_cents = sum(each.vat_cents for each in vat)
    usage_micros = _sum_micros(each for each in numbered if each.kind == "usage")
    return Amounts(
        usage_micros=usage_micros,
        charges_micros=_sum_micros(numbered) - usage_micros - rounding_micros,
        rounding_micros=rounding_micros,
        net_cents=net_cents,
        vat_cents=vat_cents,
        gross_cents=net_cents + vat_cents,
        lines=numbered,
        vat=vat,
    )


def _vat_within(lines: Sequence[InvoiceLine], terms: Terms) -> int:
    """The VAT that prices hold which include it; 0 where they do not."""
    if not terms.vat.prices_include:
        return 0
    own = (terms.vat.category, terms.vat.rate_bp)
    inclusive = [
        each.amount_cents for each in lines if (each.vat_category, each.vat_rate_bp) == own
    ]
    return vat_within(sum(inclusive), terms.vat)


def _taxed(lines: Sequence[InvoiceLine], terms: Terms) -> tuple[InvoiceLine, ...]:
    by_line = terms.vat.rounding == "line" and not terms.vat.prices_include
    numbered = [replace(each, line_no=no) for no, each in enumerate(lines, start=1)]
    if not by_line:
        return tuple(numbered)
    return tuple(
        replace(
            each,
            vat_cents=vat_of(
                each.amount_cents, replace(terms.vat, rate_bp=each.vat_rate_bp)
            ),
        )
        for each in numbered
    )


def _breakdown(
    lines: Sequence[InvoiceLine], terms: Terms, reasons: Reasons, within: int
) -> tuple[VatLine, ...]:
    """Work out the VAT; what prices held goes back to the cent, so that they stay."""
    found = breakdown(
        (
            Taxed(
                each.vat_category,
                each.vat_rate_bp,
                reasons.get((each.vat_category, each.vat_rate_bp), ""),
                each.amount_cents,
                each.vat_cents,
            )
            for each in lines
        ),
        terms.vat.mode,
    )
    own = (terms.vat.category, terms.vat.rate_bp)
    if not terms.vat.prices_include:
        return found
    return tuple(
        replace(each, vat_cents=within) if (each.category, each.rate_bp) == own else each
        for each in found
    )


def _one_rounding(lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
    roundings = [each for each in lines if each.kind == "rounding"]
    others = [each for each in lines if each.kind != "rounding"]
    if not roundings:
        return others
    vat = [each.vat_cents for each in roundings if each.vat_cents is not None]
    one = replace(
        roundings[0],
        amount_micros=_sum_micros(roundings),
        amount_cents=sum(each.amount_cents for each in roundings),
        vat_cents=sum(vat) if vat else None,
    )
    return [*others, one]


def _sum_micros(lines: Iterable[InvoiceLine]) -> int:
    return sum(each.amount_micros for each in lines)


# --- what changed -------------------------------------------------------------------------


def _usage_lines(before: Sequence[Amounts]) -> dict[tuple[str, str], Usage]:
    """What all documents of a cycle together say of its usage."""
    added: dict[tuple[str, str], Usage] = {}
    for line in (line for amounts in before for line in amounts.lines):
        if line.kind != "usage":
            continue
        key = (line.usage_type, line.zone)
        sofar = added.get(key, Usage(*key, 0, 0, 0, 0, 0))
        added[key] = Usage(
            *key,
            sofar.cdr_count + line.quantity,
            sofar.duration_s + line.duration_s,
            sofar.volume_bytes + line.volume_bytes,
            sofar.events + line.events,
            sofar.cost_micros + line.amount_micros,
        )
    return added


def _difference(new: Usage, old: Usage, key: tuple[str, str]) -> Usage:
    return Usage(
        *key,
        new.cdr_count - old.cdr_count,
        new.duration_s - old.duration_s,
        new.volume_bytes - old.volume_bytes,
        new.events - old.events,
        new.cost_micros - old.cost_micros,
    )


def _is_nothing(usage: Usage) -> bool:
    return not (usage.cost_micros or usage.cdr_count)


def _included(amounts: Amounts) -> int:
    """The line that takes VAT out of prices: it is no charge."""
    return _sum_micros(each for each in amounts.lines if each.kind == "vat_included")
