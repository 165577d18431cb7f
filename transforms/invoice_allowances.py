"""What allowances gave in a cycle, in the words that stand on an invoice.

Pure. An invoice keeps these words like everything else it says: what is left of a bundle
changes afterwards, the invoice does not.

Units: seconds, bytes, events or ``micros``, as the allowance counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from transforms.invoice_texts import (
    UNBROKEN,
    data_text,
    duration_text,
    exact_money,
    whole,
)

LINES_SHOWN: Final = 5
"""Of an allowance of each line so many lines are named; more of them are added up."""

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "nl": {
        "cycle": "{name}: {size} inbegrepen, {used} gebruikt, {left} over",
        "once": "{name} (eenmalig): {available} beschikbaar, {used} gebruikt, {left} over",
        "many": "{name}: {size} inbegrepen voor elk van {lines} nummers, samen {used} "
        "gebruikt; bij {spent} is niets over",
        "many_once": "{name} (eenmalig): {size} voor elk van {lines} nummers, samen {used} "
        "gebruikt; bij {spent} is niets over",
    },
    "en": {
        "cycle": "{name}: {size} included, {used} used, {left} left",
        "once": "{name} (once): {available} available, {used} used, {left} left",
        "many": "{name}: {size} included for each of {lines} numbers, {used} used "
        "together; {spent} have nothing left",
        "many_once": "{name} (once): {size} for each of {lines} numbers, {used} used "
        "together; {spent} have nothing left",
    },
}


@dataclass(frozen=True)
class Given:
    """What one pool of an allowance gave in a cycle."""

    rate_plan: str
    allowance: str
    subscriber: str
    """Whose it is; empty where all lines of the customer share it."""
    unit: str
    """``s``, ``bytes``, ``events`` or ``micros``."""
    is_once: bool
    size: int
    available: int
    """At the start of the cycle."""
    used: int

    @property
    def left(self) -> int:
        """What is left at the end of the cycle."""
        return max(self.available - self.used, 0)


def allowance_notes(
    given: Iterable[Given], language: str, currency: str
) -> tuple[str, ...]:
    """Say of each allowance what is included, what was used and what is left.

    Args:
        given: The pools of one cycle, those of an allowance next to each other.
        language: The invoice's.
        currency: Of allowances of money.
    """
    notes: list[str] = []
    for _, group in groupby(given, key=lambda each: (each.rate_plan, each.allowance)):
        pools = list(group)
        if len(pools) > LINES_SHOWN:
            notes.append(_many(pools, language, currency))
        else:
            notes += [_one(each, language, currency) for each in pools]
    return tuple(notes)


def _one(pool: Given, language: str, currency: str) -> str:
    of_line = f", {pool.subscriber}" if pool.subscriber else ""
    words = WORDS[language]["once" if pool.is_once else "cycle"]
    return words.format(
        name=f"{pool.allowance}{of_line}",
        **{
            name: _amount(value, pool.unit, language, currency)
            for name, value in (
                ("size", pool.size),
                ("available", pool.available),
                ("used", pool.used),
                ("left", pool.left),
            )
        },
    )


def _many(pools: Sequence[Given], language: str, currency: str) -> str:
    first = pools[0]
    words = WORDS[language]["many_once" if first.is_once else "many"]
    return words.format(
        name=first.allowance,
        size=_amount(first.size, first.unit, language, currency),
        lines=whole(len(pools), language),
        used=_amount(sum(each.used for each in pools), first.unit, language, currency),
        spent=whole(sum(not each.left for each in pools), language),
    )


def _amount(value: int, unit: str, language: str, currency: str) -> str:
    """Write an amount so that no line of text breaks within it."""
    match unit:
        case "s":
            minutes, seconds = divmod(value, 60)
            text = duration_text(value) if seconds else f"{whole(minutes, language)} min"
        case "bytes":
            text = data_text(value, language)
        case "micros":
            text = exact_money(value, currency, language)
        case _:
            text = whole(value, language)
    return text.replace(" ", UNBROKEN)
