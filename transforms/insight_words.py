"""Insights in words: one sentence for a person, made of the evidence.

Pure. Evidence comes as it was stored: days and moments as text, amounts in micros. Lines
are shown as the caller wants them shown.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from transforms.money import decimal_text, round_ratio

Evidence = Mapping[str, Any]
Show = Callable[[str], str]
"""How a line is shown: whole, or without most of its digits."""

MICROS_A_CENT: Final = 10_000
LINES_SHOWN: Final = 5


def in_words(kind: str, evidence: Evidence, show: Show) -> str:
    """Say what was found.

    A kind without a sentence of its own is told as its figures stand.
    """
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        return ", ".join(f"{name} {value}" for name, value in sorted(evidence.items()))
    return sentence(evidence, show)


def hidden(line: str) -> str:
    """Hide all of a line but its last two characters: ``+31612345678`` is ``…78``."""
    return f"…{line[-2:]}"


def about_whom(customer_id: int | None, provider: str | None, cycle: object) -> str:
    """Say whom a finding is about: ``customer 7, cycle 2026-10-01``."""
    who = f"customer {customer_id}" if customer_id is not None else provider or "-"
    return who if cycle is None else f"{who}, cycle {cycle}"


def shown(evidence: Evidence, show: Show) -> dict[str, Any]:
    """Return evidence with its lines as they may be shown."""
    told = dict(evidence)
    if "line" in told:
        told["line"] = show(told["line"])
    if "lines" in told:
        told["lines"] = [show(each) for each in told["lines"]]
    return told


def _jump(found: Evidence, _show: Show) -> str:
    return (
        f"costs {_money(found, 'total_micros')}, usually "
        f"{_money(found, 'usual_micros')} ({len(found['compared_with'])} cycles before)"
    )


def _premium(found: Evidence, _show: Show) -> str:
    return f"premium use for the first time: {_records(found)}, {_money(found)}"


def _roaming(found: Evidence, _show: Show) -> str:
    return f"use in {found['place']} for the first time: {_records(found)}, {_money(found)}"


def _loss(found: Evidence, _show: Show) -> str:
    worst = found["by_usage_type"][:1]
    most = f", most of it {worst[0]['usage_type']}" if worst else ""
    return (
        f"costs {_money(found, 'provider_micros')} and brings "
        f"{_money(found, 'own_micros')}{most}"
    )


def _nearly_used(found: Evidence, show: Show) -> str:
    lines = _lines(found["lines"], show, found["pools"])
    return f"{_allowance(found)} used{f' by {lines}' if found['lines'] else ''}"


def _unused(found: Evidence, _show: Show) -> str:
    return f"hardly used: {_allowance(found)}"


def _allowance(found: Evidence) -> str:
    name = f"{found['allowance']} of plan {found['rate_plan']}"
    if found["unit"] == "micros":
        used, available = (_amount(found[each]) for each in ("used", "available"))
        return f"{name}: {used} of {available}"
    return f"{name}: {found['used']:,} of {found['available']:,} {found['unit']}"


def _burst(found: Evidence, show: Show) -> str:
    return (
        f"{found['calls']:,} premium, foreign or dear calls of {show(found['line'])} from "
        f"{found['from_utc']} to {found['until_utc']} UTC, {_money(found)}"
    )


def _silent(found: Evidence, show: Show) -> str:
    lines = _lines(found["lines"], show, found["count"])
    return f"not used since {found['since']} ({found['cycles']} cycles): {lines}"


def _missing(found: Evidence, _show: Show) -> str:
    return (
        f"brought nothing of the cycle until {found['cycle_end_date']}; of the one before "
        f"it had {found['customers_before']:,} customers"
    )


def _late(found: Evidence, _show: Show) -> str:
    return f"last came on {found['last_came']}, expected by {found['expected_by']}"


def _duplicates(found: Evidence, _show: Show) -> str:
    return (
        f"import {found['import_id']} ({found['file_name']}): {found['duplicates']:,} of "
        f"{found['records']:,} records came before ({found['percent']} %)"
    )


def _unmatched(found: Evidence, _show: Show) -> str:
    return (
        f"{_records(found)} of {found['numbers']:,} numbers wait for an owner, "
        f"{_amount(found['cost_micros'])}, {found['first_day']} to {found['last_day']}"
    )


def _provider_invoice(found: Evidence, _show: Show) -> str:
    side = "its invoice" if "invoiced_micros" in found else "its control record"
    return (
        f"import {found['import_id']} ({found['file_name']}): the records come to "
        f"{_amount(found['charged_micros'])}, {_amount(found['difference_micros'])} more "
        f"than {side} says"
    )


_SENTENCES: Final[Mapping[str, Callable[[Evidence, Show], str]]] = {
    "usage_jump": _jump,
    "new_premium": _premium,
    "new_roaming": _roaming,
    "negative_margin": _loss,
    "allowance_nearly_used": _nearly_used,
    "allowance_unused": _unused,
    "call_burst": _burst,
    "silent_lines": _silent,
    "missing_delivery": _missing,
    "late_delivery": _late,
    "duplicate_share": _duplicates,
    "unmatched_numbers": _unmatched,
    "provider_invoice": _provider_invoice,
}


def _records(found: Evidence) -> str:
    return f"{found['records']:,} record{'' if found['records'] == 1 else 's'}"


def _money(found: Evidence, name: str = "cost_micros") -> str:
    return f"{_amount(found[name])} {found['currency']}"


def _amount(micros: int) -> str:
    """Write an amount to the cent; the exact one is in the evidence."""
    cents = round_ratio(micros, MICROS_A_CENT, "half-up")
    return decimal_text(cents * MICROS_A_CENT, 2)


def _lines(lines: Sequence[str], show: Show, count: int) -> str:
    told = ", ".join(show(each) for each in lines[:LINES_SHOWN])
    more = count - min(len(lines), LINES_SHOWN)
    return f"{told} and {more:,} more" if more > 0 else told
