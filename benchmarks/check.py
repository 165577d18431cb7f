"""The regression check: no ratio may fall by more than a fifth below the stored one.

Pure. Ratios of one run are compared, never seconds: they change with the machine.
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
    before, now = ratios(stored), ratios(found)
    missing = [
        f"{name} was not measured; {value:.2f} is stored"
        for name, value in before.items()
        if name not in now
    ]
    slower = [
        f"{name} fell from {before[name]:.2f} to {value:.2f}, "
        f"more than {ALLOWED_FALL:.0%} below what is stored"
        for name, value in now.items()
        if name in before and value < before[name] * (1 - ALLOWED_FALL)
    ]
    return missing + slower


def ratios(document: dict[str, Any]) -> dict[str, float]:
    """Return every ratio of some results by its name."""
    return {
        name: float(each["ratio"])
        for contest in document["contests"].values()
        for name, each in contest["ratios"].items()
    }
