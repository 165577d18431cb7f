"""Revisions: what changed between two of a cycle's totals, line by line, and why.

Pure. A line of totals changes because records came, late or not, were corrected by a later
delivery or went, because it is priced another way, or because an earlier cycle used
another part of a one-off allowance. What is stored of the records tells these apart.

Units: ``_micros`` whole micros; moments are naive, by the database's clock.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from transforms.cdr import INSTANT, Schema, require
from transforms.totals import STANDARD

ARRIVALS: Final[Schema] = {
    "usage_type": pl.String(),
    "zone": pl.String(),
    "roaming_country": pl.String(),
    "import_id": pl.Int64(),
    "came_at": INSTANT,
    "record_count": pl.Int64(),
}
"""How many records that count now an import brought to a cycle, and when it was done."""

CORRECTIONS: Final[Schema] = {
    "provider": pl.String(),
    "record_id": pl.String(),
    "call_date": INSTANT,
    "fingerprint": pl.Int64(),
    "usage_type": pl.String(),
    "zone": pl.String(),
    "roaming_country": pl.String(),
    "import_id": pl.Int64(),
    "member": pl.String(),
    "line_no": pl.Int64(),
    "cost_micros": pl.Int64(),
    "came_at": INSTANT,
    "replaced_by": pl.Int64(),
    "replaced_at": INSTANT,
    "now_usage_type": pl.String(),
    "now_zone": pl.String(),
    "now_roaming_country": pl.String(),
    "now_member": pl.String(),
    "now_line_no": pl.Int64(),
    "now_cost_micros": pl.Int64(),
}
"""A record of a cycle that the import ``replaced_by`` replaced, and the one that stands at
its place and time since then; that one is null when it was replaced too, or is elsewhere.
"""

ONE_OFF: Final = "a one-off allowance was used otherwise in an earlier cycle"
"""Why a cycle waits for totals that has no other record than before."""

COMPUTED: Final = "asked for"
"""Why totals were computed of a cycle that did not wait for them."""

Place = tuple[str, str]
"""Usage type and zone of a line."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one revision of a cycle, beside its lines.

    Attributes:
        revision: Its number.
        method: ``standard`` or ``rateplan``.
        rate_plan: The plans that priced it, if any.
        rate_plan_version: Their version.
        read_at: When its records were read.
        reason: Why it was made.
    """

    revision: int
    method: str
    rate_plan: str | None
    rate_plan_version: str | None
    read_at: datetime
    reason: str = ""


Made = Mapping[int, tuple[str, datetime]]
"""Why each revision was made, and when its records were read."""


def facts_of(header: Mapping[str, Any], made: Made, written_at: datetime) -> Facts:
    """What is known of a revision; one from before reasons were kept has none.

    Args:
        header: revision, method, rate_plan and rate_plan_version.
        made: Why revisions were made, as far as that is kept.
        written_at: When it was written: stands in for when its records were read.
    """
    reason, read_at = made.get(header["revision"], ("", written_at))
    return Facts(
        revision=header["revision"],
        method=header["method"],
        rate_plan=header["rate_plan"],
        rate_plan_version=header["rate_plan_version"],
        read_at=read_at,
        reason=reason,
    )


BEFORE_ALL: Final = datetime.min  # noqa: DTZ901 - naive, by the database's clock
"""When the records of no revision at all were read."""


@dataclass(frozen=True)
class Happened:
    """What is stored of the records of a cycle.

    Attributes:
        arrivals: Frame ``ARRIVALS``.
        corrections: Frame ``CORRECTIONS``.
        cycle_end_date: Who comes on this day or after it is late.
        reasons: Why the newer revision was made, and those between.
    """

    arrivals: pl.DataFrame
    corrections: pl.DataFrame
    cycle_end_date: date
    reasons: tuple[str, ...] = ()


@dataclass
class _Moved:
    """Records of one line that came, came late, or were corrected between two moments.

    ``shift`` is by how many more corrections brought records to this line than took away.
    """

    added: int = 0
    late: int = 0
    corrected: int = 0
    shift: int = 0


def line_changes(
    was: Facts,
    was_lines: pl.DataFrame,
    now: Facts,
    now_lines: pl.DataFrame,
    happened: Happened,
) -> list[dict[str, object]]:
    """Compare two revisions line by line; lines that are equal are left out.

    A revision that was put back knows the records of an earlier time: nothing happened to
    them since.

    Returns:
        One entry a line: usage_type, zone, ``was`` and ``is`` (cost_micros, cdr_count,
        unrated_count; null where there is no such line) and ``why``.
    """
    is_back = now.revision > was.revision and now.read_at < was.read_at
    before, after = _by_place(was_lines), _by_place(now_lines)
    places = sorted({*before, *after})
    changed = [
        place
        for place in places
        if place not in before
        or place not in after
        or not _same(before[place], after[place])
    ]
    moved = _moved(happened, (was.read_at, now.read_at), set(places))
    causes = {
        place: list(_records(before.get(place), after.get(place), moved[place]))
        for place in changed
    }
    plan = ["plan changed"] if plan_change(was, now) is not None else []
    otherwise = _otherwise(now, happened.reasons, is_moved=any(causes.values()))
    return [
        {
            "usage_type": place[0],
            "zone": place[1],
            "was": _shown(before.get(place)),
            "is": _shown(after.get(place)),
            "why": [now.reason] if is_back else [*causes[place], *plan] or [otherwise],
        }
        for place in changed
    ]


def _records(old: Row | None, new: Row | None, moved: _Moved) -> Iterator[str]:
    """Say what happened to the records of a line, in words.

    What is stored of records is not all: one that was backed out, or went to another
    owner, leaves no trace. The counts of the two revisions have the last word.
    """
    before, after = (0 if row is None else int(row["cdr_count"]) for row in (old, new))
    unseen = after - before - moved.added - moved.late - moved.shift
    told = {
        "added": moved.added + max(unseen, 0),
        "added late": moved.late,
        "corrected": moved.corrected,
        "gone": max(-unseen, 0),
    }
    for word, count in told.items():
        if count:
            yield f"{count:,} record{'' if count == 1 else 's'} {word}"


def _otherwise(now: Facts, reasons: Sequence[str], *, is_moved: bool) -> str:
    """Why a line changed whose records and plan did not."""
    if reasons and reasons[-1] not in (COMPUTED, ONE_OFF) and not is_moved:
        return reasons[-1]
    if ONE_OFF in reasons:
        return ONE_OFF
    if is_moved and now.method != STANDARD:
        return "follows from other lines"
    return "records corrected"


def plan_change(was: Facts, now: Facts) -> str | None:
    """Say how the way of pricing changed, or None when it did not."""
    names = [_priced_by(facts) for facts in (was, now)]
    if names[0] != names[1]:
        return f"priced by {names[1]} instead of {names[0]}"
    if was.rate_plan_version != now.rate_plan_version:
        return f"another version of {names[1]}"
    return None


def _priced_by(facts: Facts) -> str:
    return STANDARD if facts.rate_plan is None else f"rate plan {facts.rate_plan}"


# --- the records between two moments ----------------------------------------------------


_NEVER: Final = datetime.max  # noqa: DTZ901 - naive, by the database's clock


@dataclass(frozen=True)
class _Version:
    """One state of a record: the line it was in, and from when until when it stood."""

    place: Place
    came_at: datetime
    gone_at: datetime = _NEVER

    def stood(self, moment: datetime) -> bool:
        return self.came_at <= moment < self.gone_at


def _moved(
    happened: Happened, between: tuple[datetime, datetime], places: set[Place]
) -> defaultdict[Place, _Moved]:
    """Count by line what came between two moments, and what was corrected."""
    since, until = between
    moved: defaultdict[Place, _Moved] = defaultdict(_Moved)
    arrived = _arrivals(happened.arrivals, places)
    for versions in _histories(happened.corrections, places):
        newest = versions[-1]
        if newest.gone_at == _NEVER:
            # It is among the arrivals, but it did not come anew.
            arrived[newest.place, newest.came_at] -= 1
        old = next((each for each in versions if each.stood(since)), None)
        new = next((each for each in versions if each.stood(until)), None)
        if old is None and new is not None:
            arrived[new.place, versions[0].came_at] += 1
        elif old is not None and new is not None and old is not new:
            _correct(moved[old.place], moved[new.place])
    for (place, came_at), count in arrived.items():
        if since < came_at <= until:
            is_late = came_at.date() >= happened.cycle_end_date
            moved[place].late += count if is_late else 0
            moved[place].added += 0 if is_late else count
    return moved


def _correct(source: _Moved, target: _Moved) -> None:
    """Count a record that was replaced, in its own line or by one of another line."""
    source.corrected += 1
    if target is not source:
        source.shift -= 1
        target.shift += 1
        target.corrected += 1


def _arrivals(
    arrivals: pl.DataFrame, places: set[Place]
) -> defaultdict[tuple[Place, datetime], int]:
    counts: defaultdict[tuple[Place, datetime], int] = defaultdict(int)
    rows = require(arrivals, ARRIVALS, "line_changes arrivals")
    for row in rows.iter_rows(named=True):
        counts[_place(row, places), row["came_at"]] += row["record_count"]
    return counts


def _histories(corrections: pl.DataFrame, places: set[Place]) -> Iterator[list[_Version]]:
    """The versions of each record that was replaced, the oldest first.

    The version of now is the last, unless it is elsewhere by now.
    """
    rows = require(corrections, CORRECTIONS, "line_changes corrections")
    key = ["provider", "fingerprint"]
    ordered = rows.sort(*key, "replaced_at")
    for _, group in ordered.group_by(key, maintain_order=True):
        states = list(group.iter_rows(named=True))
        versions = [
            _Version(_place(row, places), row["came_at"], row["replaced_at"])
            for row in states
        ]
        last = states[-1]
        if last["now_usage_type"] is not None:
            place = _place(last, places, "now_")
            versions.append(_Version(place, last["replaced_at"]))
        yield versions


def _place(row: Row, places: set[Place], prefix: str = "") -> Place:
    """The line a record is in: by the country it roamed in, or by the provider's zone."""
    usage = str(row[f"{prefix}usage_type"])
    zone, country = row[f"{prefix}zone"], row[f"{prefix}roaming_country"]
    for name in (country, zone):
        if name is not None and (usage, name) in places:
            return usage, name
    return usage, zone or ""


# --- lines and records as they are shown ------------------------------------------------


def corrected_records(
    corrections: pl.DataFrame, since: datetime, until: datetime
) -> list[dict[str, object]]:
    """Describe the records that were replaced between two moments: what was, what is.

    Args:
        corrections: Frame ``CORRECTIONS``.
        since: A moment by the database's clock, not included.
        until: Another one, included.
    """
    replaced_at = pl.col("replaced_at")
    own = corrections.filter(replaced_at > since, replaced_at <= until)
    ordered = own.sort("call_date", "fingerprint", "replaced_at")
    return [
        {
            "record_id": row["record_id"],
            "call_date": row["call_date"],
            "usage_type": row["usage_type"],
            "was": _source(row, "import_id", ""),
            "is": None
            if row["now_usage_type"] is None
            else _source(row, "replaced_by", "now_"),
            "corrected_by": row["replaced_by"],
        }
        for row in ordered.iter_rows(named=True)
    ]


def _source(row: Row, import_id: str, prefix: str) -> dict[str, object]:
    return {
        "import_id": row[import_id],
        **{name: row[f"{prefix}{name}"] for name in ("member", "line_no", "cost_micros")},
    }


_COMPARED: Final = (
    "cdr_count",
    "unrated_count",
    "duration_s",
    "volume_bytes",
    "events",
    "cost_micros",
)


def _by_place(lines: pl.DataFrame) -> dict[Place, Row]:
    return {(row["usage_type"], row["zone"]): row for row in lines.iter_rows(named=True)}


def _same(old: Row, new: Row) -> bool:
    return all(old[name] == new[name] for name in _COMPARED)


def _shown(row: Row | None) -> dict[str, object] | None:
    if row is None:
        return None
    return {name: row[name] for name in ("cost_micros", "cdr_count", "unrated_count")}
