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
"""Below that, a moment of the machine's is a large part of what is measured."""


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
        rounds: In how many rounds it takes part; slow sides need not come every time.
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
                if side.rounds is not None and number >= side.rounds:
                    continue
                sample = _turn(side)
                self.samples.setdefault(side.name, []).append(sample)
                _say(f"  {self.name} {number + 1}/{rounds} {side.name}: {_told(sample)}")
        return self

    def rate(self, side: str) -> float:
        """The median speed of a side, in records (or runs) a second."""
        return statistics.median(_rate(each) for each in self.samples[side])

    def ratio(self, ratio: Ratio) -> float:
        """How many times as fast the judged side is as the fastest of the others."""
        others = [name for name in ratio.against if name in self.samples]
        return self.rate(ratio.side) / max(self.rate(name) for name in others)

    def ratios_by_round(self, ratio: Ratio) -> list[float]:
        """The same, round by round, as far as each of the sides took part."""
        ours = self.samples[ratio.side]
        others = [self.samples[name] for name in ratio.against if name in self.samples]
        return [
            _rate(ours[number]) / max(_rate(each[number]) for each in others)
            for number in range(min(len(each) for each in (ours, *others)))
        ]

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
                    "rounds": [round(one, 3) for one in self.ratios_by_round(each)],
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


def _turn(side: Side) -> Sample:
    """Run a side once, or a quick one three times and take the middle one."""
    gc.collect()
    sample = side.run()
    if sample.seconds >= SHORT_S:
        return sample
    turns = [sample, side.run(), side.run()]
    return sorted(turns, key=lambda each: each.seconds)[1]


def timed(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _rate(sample: Sample) -> float:
    return sample.records / sample.seconds


def _peak(samples: Sequence[Sample]) -> dict[str, float]:
    peaks = [each.peak_mb for each in samples if each.peak_mb is not None]
    return {"peak_mb": round(max(peaks), 1)} if peaks else {}


def _told(sample: Sample) -> str:
    return f"{sample.seconds:.2f} s ({sample.records / sample.seconds:,.0f}/s)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
