"""Which entry covers which usage: zones first, then the longest prefix, then weight.

Pure. The entries for one usage type, direction and zone make a scope. Within it a
destination belongs to the entry that claims the longest of its first digits; where two
claim the same ones, the heavier has it, and two of equal weight are a fault of the plan.

Prefixes nest, so a scope is a step function over destinations in alphabetical order:
``+31`` begins at ``+31`` and ends before ``+32``. One binary search finds the entry.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transforms.profile import Usage
from transforms.rate_plan import DeckLine, Direction, Entry, RatePlan

ANY_ZONE: Final = ""

Place = tuple[Usage, Direction, str]
"""Usage type, direction, and a zone of the plan or ``ANY_ZONE``."""


@dataclass(frozen=True)
class Scope:
    """The entries of one place, by their number in the plan.

    Attributes:
        default: Covers every destination that no other entry claims; None for nobody.
        destinations: Who covers a destination of the decks.
        prefixes: Who claims a prefix by itself.
        ties: What two entries of equal weight both claim, with their numbers.
    """

    default: int | None
    destinations: Mapping[str, int]
    prefixes: Mapping[str, int]
    ties: Sequence[tuple[str, int, int]]


def scopes(plan: RatePlan) -> dict[Place, Scope]:
    """Sort the entries of a plan into their scopes."""
    members: dict[Place, list[int]] = defaultdict(list)
    for number, entry in enumerate(plan.entries):
        for direction in entry.directions:
            for zone in entry.zones or (ANY_ZONE,):
                members[entry.usage, direction, zone].append(number)
    decks = {line.prefix: line.destination for line in plan.deck}
    return {
        place: _scope(numbers, plan.entries, decks) for place, numbers in members.items()
    }


def _scope(
    numbers: Sequence[int], entries: Sequence[Entry], decks: Mapping[str, str]
) -> Scope:
    claims: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in numbers:
        entry = entries[number]
        for destination in entry.destinations:
            claims["destination", destination].append(number)
        for prefix in entry.prefixes:
            claims["prefix", prefix].append(number)
        if not entry.destinations and not entry.prefixes:
            claims["any destination", ""].append(number)
    for (kind, name), claimants in claims.items():
        if kind == "prefix" and name in decks:
            claimants += claims.get(("destination", decks[name]), [])
    ties: list[tuple[str, int, int]] = []
    won = {claim: _heaviest(claim, claims[claim], entries, ties) for claim in claims}
    return Scope(
        default=won.get(("any destination", "")),
        destinations={name: n for (kind, name), n in won.items() if kind == "destination"},
        prefixes={name: n for (kind, name), n in won.items() if kind == "prefix"},
        ties=ties,
    )


def _heaviest(
    claim: tuple[str, str],
    numbers: Sequence[int],
    entries: Sequence[Entry],
    ties: list[tuple[str, int, int]],
) -> int:
    ordered = sorted(dict.fromkeys(numbers), key=lambda n: -entries[n].weight)
    first, *others = ordered
    if others and entries[others[0]].weight == entries[first].weight:
        ties.append((" ".join(claim).strip(), first, others[0]))
    return first


def boundaries(
    scope: Scope, deck: Sequence[DeckLine]
) -> tuple[list[str], list[int | None]]:
    """Lay a scope out over all destinations in order of their characters.

    With ``+31`` for entry 0 and ``+316`` for entry 1 and nothing else: from ``""`` nobody,
    from ``+31`` 0, from ``+316`` 1, from ``+317`` 0, from ``+32`` nobody.

    Returns:
        Where each stretch begins, the first at ``""``, and who covers it.
    """
    if not scope.destinations and not scope.prefixes:
        return [""], [scope.default]
    claimed: dict[str, int | None] = {
        line.prefix: scope.destinations.get(line.destination, scope.default)
        for line in deck
    }
    claimed.update(scope.prefixes)
    begins: list[str] = []
    covers: list[int | None] = []
    for begin, number in _stretches(claimed, scope.default):
        if begins and begins[-1] == begin:
            begins.pop()
            covers.pop()
        if not covers or covers[-1] != number:
            begins.append(begin)
            covers.append(number)
    return begins, covers


def _stretches(
    claimed: Mapping[str, int | None], default: int | None
) -> Iterator[tuple[str, int | None]]:
    """Walk the nested ranges from outside in; what ends gives way to what is around it."""
    spans = [(*_range(prefix), number) for prefix, number in claimed.items()]
    # Two may begin at one text; the wider one is outside and comes first.
    spans.sort(key=lambda span: span[1], reverse=True)
    spans.sort(key=lambda span: span[0])
    open_ends: list[str] = []
    open_numbers: list[int | None] = [default]
    yield "", default
    for begin, end, number in spans:
        while open_ends and open_ends[-1] <= begin:
            open_numbers.pop()
            yield open_ends.pop(), open_numbers[-1]
        open_ends.append(end)
        open_numbers.append(number)
        yield begin, number
    while open_ends:
        open_numbers.pop()
        yield open_ends.pop(), open_numbers[-1]


def _range(prefix: str) -> tuple[str, str]:
    """Return where the texts with a prefix begin and end; ``=112`` is one text."""
    if prefix.startswith("="):
        return prefix[1:], f"{prefix[1:]}\0"
    return prefix, f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"
