"""Measuring: sides that do the same work, one after the other, several times over.

Effects: the clock. A contest alternates its sides within each round, so that what the
machine does beside it falls on all of them; figures that leave this module are medians,
and what is compared are ratios of one run.

Units: ``_s`` seconds.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SHORT_S: Final = 1.0
"""A side that is quicker takes part in every round: it costs little, and one cold round of
ours would be all it is held against."""


@dataclass(frozen=True)
class Sample:
    """One timed run: how long it took, for how many records, and what it needed."""

    seconds: float
    records: int
    peak_mb: float | None = None


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    Attributes:
        name: What it is, for the table and the chart.
        run: Sets itself up, does the work once and returns the timed part of it.
        rounds: In how many rounds it takes part when it is slow; None is all.
    """

    name: str
    run: Callable[[], Sample]
    rounds: int | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times as fast ``side`` is as ``against``, and what it should be.

    Attributes:
        name: Key in the results.
        side: Whose speed is judged.
        against: The side, or the fastest of the sides, it is held against.
        target: What DESIGN asks for; None where a ratio is only shown.
    """

    name: str
    side: str
    against: tuple[str, ...]
    target: float | None = None


@dataclass(frozen=True)
class Limit:
    """The most memory a side may need.

    Attributes:
        name: Key in the results.
        side: Whose process is watched.
        most_mb: What DESIGN asks for, in megabytes.
    """

    name: str
    side: str
    most_mb: float


@dataclass
class Contest:
    """The sides of one benchmark and what they came to."""

    name: str
    title: str
    sides: Sequence[Side]
    ratios: Sequence[Ratio] = ()
    notes: Sequence[str] = ()
    limits: Sequence[Limit] = ()
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def hold(self, rounds: int) -> "Contest":
        """Run every side in every round it takes part in."""
        for number in range(rounds):
            for side in self.sides:
                if self._has_had_enough(side, number):
                    continue
                gc.collect()
                sample = side.run()
                self.samples.setdefault(side.name, []).append(sample)
                _say(f"  {self.name} {number + 1}/{rounds} {side.name}: {_told(sample)}")
        return self

    def _has_had_enough(self, side: Side, number: int) -> bool:
        if side.rounds is None or number < side.rounds:
            return False
        return self.samples[side.name][-1].seconds >= SHORT_S

    def rate(self, side: str) -> float:
        """The median speed of a side, in records (or runs) a second."""
        return statistics.median(each.records / each.seconds for each in self.samples[side])

    def ratio(self, ratio: Ratio) -> float:
        """How many times as fast the judged side is as the fastest of the others."""
        others = [name for name in ratio.against if name in self.samples]
        return self.rate(ratio.side) / max(self.rate(name) for name in others)

    def document(self) -> dict[str, Any]:
        """Describe the contest for the results file."""
        return {
            "title": self.title,
            "notes": list(self.notes),
            "sides": {
                name: {
                    "records": samples[0].records,
                    "seconds": [round(each.seconds, 3) for each in samples],
                    "median_s": round(
                        statistics.median(each.seconds for each in samples), 3
                    ),
                    "rate": round(self.rate(name), 1),
                    **_peak(samples),
                }
                for name, samples in self.samples.items()
            },
            "ratios": {
                each.name: {
                    "side": each.side,
                    "against": list(each.against),
                    "ratio": round(self.ratio(each), 3),
                    "target": each.target,
                }
                for each in self.ratios
            },
            **self._limits(),
        }

    def _limits(self) -> dict[str, Any]:
        if not self.limits:
            return {}
        told = {
            each.name: {
                "side": each.side,
                "most_mb": each.most_mb,
                **_peak(self.samples[each.side]),
            }
            for each in self.limits
        }
        return {"limits": told}


def timed(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak(samples: Sequence[Sample]) -> dict[str, float]:
    peaks = [each.peak_mb for each in samples if each.peak_mb is not None]
    return {"peak_mb": round(max(peaks), 1)} if peaks else {}


def _told(sample: Sample) -> str:
    return f"{sample.seconds:.2f} s ({sample.records / sample.seconds:,.0f}/s)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
