"""The regression check: no ratio may fall by more than a fifth below the stored one.

Pure. Ratios of one run are compared, never seconds: they change with the machine. What
became slower is slower in every round; what another did beside us is in some of them. So
the best round of now is held against the best that is stored.
"""

from typing import Any, Final

ALLOWED_FALL: Final = 0.20


def fallen(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what got slower, one sentence each; empty when nothing did.

    A ratio of 1.50 may fall to 1.20. A ratio that is stored and was not measured is a
    fault too: a benchmark that is gone proves nothing.

    Args:
        stored: Results that were kept.
        found: Results of now, of the same size.
    """
    before, now = best_rounds(stored), best_rounds(found)
    missing = [
        f"{name} was not measured; {value:.2f} is stored"
        for name, value in before.items()
        if name not in now
    ]
    slower = [
        f"{name} fell from {before[name]:.2f} to {value:.2f} in its best round, "
        f"more than {ALLOWED_FALL:.0%} below what is stored"
        for name, value in now.items()
        if name in before and value < before[name] * (1 - ALLOWED_FALL)
    ]
    return missing + slower


def best_rounds(document: dict[str, Any]) -> dict[str, float]:
    """Return every ratio in its best round, by its name.

    A round counts when each of the sides took part in it.
    """
    return {
        name: max(_by_round(contest["sides"], ratio))
        for contest in document["contests"].values()
        for name, ratio in contest["ratios"].items()
    }


def _by_round(sides: dict[str, Any], ratio: dict[str, Any]) -> list[float]:
    ours, *others = (
        [side["records"] / seconds for seconds in side["seconds"]]
        for side in (
            sides[name] for name in (ratio["side"], *ratio["against"]) if name in sides
        )
    )
    return [
        rate / max(rates)
        for rate, *rates in zip(
            ours, *others, strict=False
        )  # a slow side came to one round
    ]
