"""What a rate plan charges a customer in a cycle beside usage.

Pure. A fee or discount of every cycle is for the days of the cycle on which the plan
holds; one that is charged once stands on the cycle in which the customer gets the plan.
A charge of each line counts the numbers that the customer has on any of these days.

An amount of 12.50 for 10 of 31 days is 4.032258: half-up, to the micro.

Units: ``_micros`` whole micros; spans are half-open, None is open.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from transforms.invoicing import Charge
from transforms.money import round_ratio
from transforms.rate_plan import PlanCharge, RatePlan

Span = tuple[date | None, date | None]


def plan_charges(
    plan: RatePlan, held: Span, cycle: tuple[date, date], lines: Sequence[Span]
) -> Iterator[Charge]:
    """Work out what a plan charges in a cycle.

    Args:
        plan: The plan.
        held: From when to when the customer has it.
        cycle: The cycle.
        lines: From when to when the customer has each of its lines.
    """
    days = _days(cycle, held, (plan.valid_from, plan.valid_to))
    if days is None:
        return
    count = sum(_days(days, line) is not None for line in lines)
    for each in plan.charges:
        pieces = count if each.per == "line" else 1
        if pieces and _is_due(each, held, cycle):
            yield _charge(each, pieces, days, cycle)


def _charge(
    each: PlanCharge, pieces: int, days: tuple[date, date], cycle: tuple[date, date]
) -> Charge:
    amount = each.amount_micros * pieces * (-1 if each.kind == "discount" else 1)
    held_days, all_days = ((end - begin).days for begin, end in (days, cycle))
    if each.kind == "one_off" or held_days == all_days:
        return Charge(each.kind, each.name, amount, pieces)
    name = f"{each.name} ({held_days}/{all_days})"
    part = round_ratio(amount * held_days, all_days, "half-up")
    return Charge(each.kind, name, part, pieces)


def _is_due(each: PlanCharge, held: Span, cycle: tuple[date, date]) -> bool:
    """Whether a charge stands on a cycle; a plan without a beginning was got long ago."""
    if each.kind != "one_off":
        return True
    return held[0] is not None and cycle[0] <= held[0] < cycle[1]


def _days(within: tuple[date, date], *spans: Span) -> tuple[date, date] | None:
    """The days of a span on which all others hold too, or None when there are none."""
    begin = max([within[0], *(start for start, _ in spans if start is not None)])
    end = min([within[1], *(stop for _, stop in spans if stop is not None)])
    return (begin, end) if begin < end else None
