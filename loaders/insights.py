"""Insights: what finders need to know, and findings kept with their evidence.

Effects: the database. A finding is known by its content: the same one again is the same
row, so that what is computed twice is told once. A finding about a subject takes the place
of the one before about it; the older row stays as history and stands no more. What was
acknowledged stays acknowledged in its successor, unless that is graver.

Units: ``_micros`` whole micros.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar

import polars as pl

from loaders.database import Database, Row, Transaction
from loaders.retention import closed_cycles
from transforms.cdr import INSTANT, Schema, require
from transforms.cycle import Cycle
from transforms.insights import SEVERITIES, Insight, Severity
from transforms.insights_of_cycles import (
    ALLOWANCES,
    BY_TYPE,
    CALLS,
    CHARGES,
    CYCLES,
    HISTORY,
    LINES,
    USE,
)
from transforms.insights_of_deliveries import ARRIVALS, DELIVERED, DUPLICATES, UNMATCHED

MUTEX: Final = "insights"
"""The row of ``lease`` that is locked while findings are written: one writer at a time."""

IDS_PER_QUERY: Final = 500
NO_IMPORT: Final = 0
"""An id no import has; it keeps a list of ids from being empty."""

Part = Literal["cycle", "ended"]
"""What a look was for: what can be judged at any time, or only of a cycle that is over."""

_ENDED: Final[Schema] = {
    name: dtype
    for name, dtype in CYCLES.items()
    if name not in ("cycle_start_date", "cycle_end_date")
}

LOOKS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "revision": pl.Int64(),
}
"""Which revision of a cycle was looked at; 0 of one without totals."""

LISTED: Final[Schema] = {
    "id": pl.Int64(),
    "kind": pl.String(),
    "severity": pl.String(),
    "customer_id": pl.Int64(),
    "provider": pl.String(),
    "cycle_start_date": pl.Date(),
    "evidence": pl.String(),
    "created_at": INSTANT,
    "acknowledged_by": pl.String(),
    "acknowledged_at": INSTANT,
    "note": pl.String(),
    "is_dirty": pl.Int64(),
}
"""An insight as it is listed; ``evidence`` is JSON."""


_RECORDED: Final[Schema] = {
    "kind": pl.String(),
    "severity": pl.String(),
    "customer_id": pl.Int64(),
    "provider": pl.String(),
    "cycle_start_date": pl.Date(),
    "subject": pl.String(),
    "evidence": pl.String(),
    "content_sha256": pl.String(),
}
"""What is written of a finding when it is told for the first time."""

T = TypeVar("T")


@dataclass(frozen=True)
class Standing:
    """A finding that stands, as far as its successor must know it."""

    id: int
    kind: str
    severity: Severity
    customer_id: int | None
    provider: str | None
    cycle_start_date: date | None
    subject: str
    content_sha256: str
    acknowledged_by: str | None
    acknowledged_at: object
    """As the driver gave it; it goes back into the database unread."""
    note: str | None


@dataclass(frozen=True)
class Settled:
    """What became of findings.

    Attributes:
        new: How many stand that nothing stood for.
        changed: How many took the place of one about the same subject.
        gone: How many stand no more, because what they said is no longer so.
    """

    new: int = 0
    changed: int = 0
    gone: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        """Add what became of others."""
        return Settled(
            self.new + other.new, self.changed + other.changed, self.gone + other.gone
        )


# --- writing ------------------------------------------------------------------------------


def record_insight(tx: Transaction, insight: Insight) -> bool:
    """Record one insight in the caller's transaction, unless it stands already.

    One with a subject takes the place of the one before about it.

    Returns:
        Whether it is new.
    """
    before = [
        each for each in standing(tx, [insight.kind]) if _about(each) == _about(insight)
    ]
    settled = settle(tx, [insight], before if insight.subject else [])
    return settled.new + settled.changed > 0


def settle_about(
    tx: Transaction, kind: str, about: str, found: Sequence[Insight]
) -> Settled:
    """Make what was found about a subject stand, in place of all that stood about it.

    Args:
        tx: The caller's transaction.
        kind: The kind of finding.
        about: The subject, or what subjects begin with: ``import 7`` is also about
            ``import 7 invoice``.
        found: All of this kind that is so now.
    """
    whole = f"{about} "
    before = [each for each in standing(tx, [kind]) if f"{each.subject} ".startswith(whole)]
    return settle(tx, found, before)


def standing(
    tx: Transaction, kinds: Sequence[str], customer_ids: Sequence[int] | None = None
) -> list[Standing]:
    """Read the findings of some kinds that stand, of some customers when they are given."""
    lock(tx)
    if customer_ids is None:
        return [_standing(row) for row in tx.rows("insight/standing", kinds=list(kinds))]
    return [
        _standing(row)
        for page in _pages(customer_ids)
        for row in tx.rows(
            "insight/standing_of_customers", kinds=list(kinds), customer_ids=page
        )
    ]


def lock(tx: Transaction) -> None:
    """Let no other transaction read what stands, or write findings, until this one ends."""
    tx.execute("lease/ensure", name=MUTEX)


def settle(
    tx: Transaction, found: Iterable[Insight], before: Sequence[Standing]
) -> Settled:
    """Make what was found stand, in place of what stood before.

    Args:
        tx: The caller's transaction.
        found: All that is so now.
        before: All that stood, in the part of the world that was looked at.
    """
    lock(tx)
    by_subject = {_about(each): each for each in before}
    contents = {_digest(each): each for each in found}
    told = {each.content_sha256 for each in before}
    news = {digest: each for digest, each in contents.items() if digest not in told}
    known = _known(tx, list(news))
    settled, first_told = Settled(), {}
    for digest, insight in news.items():
        older = by_subject.get(_about(insight))
        is_first = older is None or older.content_sha256 in contents
        if digest in known and not known[digest]["is_replaced"]:
            continue  # it stands, outside of what was looked at
        if is_first and digest not in known:
            first_told[digest] = insight
            continue
        new_id = _stand(tx, insight, digest, known.get(digest))
        settled += Settled(new=int(is_first), changed=int(not is_first))
        if older is not None and not is_first:
            _replace(tx, older, insight, new_id)
    if first_told:
        tx.load("billing_insight", _rows(first_told))
    gone = _gone(before, contents)
    for each in gone:
        tx.execute("insight/replace", id=each.id, replaced_by=None)
    return settled + Settled(new=len(first_told), gone=len(gone))


def _known(tx: Transaction, digests: list[str]) -> dict[str, Row]:
    """The rows there are of these contents, whether they stand or not."""
    return {
        row["content_sha256"]: row
        for page in _pages(digests)
        for row in tx.rows("insight/known", digests=page)
    }


def _stand(tx: Transaction, insight: Insight, digest: str, known: Row | None) -> int:
    """Write a finding, or let the row stand again that said the same before."""
    if known is not None:
        tx.execute("insight/reopen", id=known["id"])
        return int(known["id"])
    return tx.insert("insight/record", **_row(insight, digest))


def _rows(found: Mapping[str, Insight]) -> pl.DataFrame:
    rows = [_row(insight, digest) for digest, insight in found.items()]
    return pl.DataFrame(rows, _RECORDED)


def _row(insight: Insight, digest: str) -> dict[str, Any]:
    told = {name: getattr(insight, name) for name in _RECORDED if hasattr(insight, name)}
    return told | {"evidence": _evidence(insight), "content_sha256": digest}


def _replace(tx: Transaction, older: Standing, insight: Insight, new_id: int) -> None:
    """Let a finding take the place of one, and take over who has seen that."""
    tx.execute("insight/replace", id=older.id, replaced_by=new_id)
    if older.acknowledged_by is not None and not _is_graver(insight, older):
        tx.execute(
            "insight/carry_over",
            id=new_id,
            acknowledged_by=older.acknowledged_by,
            acknowledged_at=older.acknowledged_at,
            note=older.note,
        )


def _gone(before: Sequence[Standing], contents: Mapping[str, Insight]) -> list[Standing]:
    subjects = {_about(each) for each in contents.values()}
    return [
        each
        for each in before
        if each.content_sha256 not in contents and _about(each) not in subjects
    ]


def _is_graver(insight: Insight, older: Standing) -> bool:
    return SEVERITIES.index(insight.severity) > SEVERITIES.index(older.severity)


def _about(one: Insight | Standing) -> tuple[object, ...]:
    return one.kind, one.customer_id, one.provider, one.subject


def _evidence(insight: Insight) -> str:
    return json.dumps(
        dict(insight.evidence), ensure_ascii=False, sort_keys=True, default=str
    )


def _digest(insight: Insight) -> str:
    known_by = (
        insight.kind,
        insight.severity,
        insight.customer_id,
        insight.provider,
        insight.cycle_start_date,
        insight.subject,
        _evidence(insight),
    )
    return sha256("\n".join(map(str, known_by)).encode()).hexdigest()


def _standing(row: Row) -> Standing:
    start = row["cycle_start_date"]
    return Standing(
        **{name: row[name] for name in Standing.__dataclass_fields__ if name in row}
        | {"cycle_start_date": None if start is None else date.fromisoformat(str(start))}
    )


def _pages(ids: Sequence[T]) -> Iterable[list[T]]:
    for first in range(0, len(ids), IDS_PER_QUERY):
        yield list(ids[first : first + IDS_PER_QUERY])


# --- what finders need --------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Which records are asked for: of these customers, in ``[since, before)``."""

    customer_ids: list[int]
    since: date
    before: date


class InsightReader:
    """What finders need to know; made for one snapshot."""

    def __init__(self, tx: Transaction) -> None:
        """Ask within ``tx``, a snapshot. Only records of complete imports count."""
        self._tx = tx
        ids = [int(row["id"]) for row in tx.rows("totals/unready_imports")]
        self._unready = ids or [NO_IMPORT]

    def history(self, asked: Asked) -> pl.DataFrame:
        """Read the totals (HISTORY) of cycles that began then."""
        return self._tx.frame("insight/history", HISTORY, **vars(asked))

    def use(self, asked: Asked) -> pl.DataFrame:
        """Read use that may be premium or abroad (USE)."""
        return self._tx.frame("insight/use", USE, **vars(asked), unready_ids=self._unready)

    def calls(self, asked: Asked, dear_micros: int) -> pl.DataFrame:
        """Read calls to premium numbers, to other countries, or dear ones (CALLS)."""
        return self._tx.frame(
            "insight/calls",
            CALLS,
            **vars(asked),
            unready_ids=self._unready,
            dear_micros=dear_micros,
        )

    def by_type(self, asked: Asked) -> pl.DataFrame:
        """Read cost and price of a cycle by usage type (BY_TYPE)."""
        if not asked.customer_ids:
            return pl.DataFrame(schema=BY_TYPE)
        return self._tx.frame(
            "insight/by_type", BY_TYPE, **vars(asked), unready_ids=self._unready
        )

    def charges(self, asked: Asked) -> pl.DataFrame:
        """Read what customers pay in a cycle whatever they use (CHARGES)."""
        if not asked.customer_ids:
            return pl.DataFrame(schema=CHARGES)
        return self._tx.frame("insight/charges", CHARGES, **vars(asked))

    def allowances(self, asked: Asked) -> pl.DataFrame:
        """Read what allowances gave in a cycle (ALLOWANCES)."""
        return self._tx.frame(
            "insight/allowances",
            ALLOWANCES,
            customer_ids=asked.customer_ids,
            cycle_start_date=asked.since,
        )

    def lines_used(self, asked: Asked) -> pl.DataFrame:
        """Read the lines that were used then (LINES)."""
        return self._tx.frame(
            "insight/lines_used", LINES, **vars(asked), unready_ids=self._unready
        )

    def known_since(self) -> date | None:
        """Return the first day of the oldest cycle with totals."""
        (row,) = self._tx.rows("insight/known_since")
        return (
            None if row["first_day"] is None else date.fromisoformat(str(row["first_day"]))
        )

    def ended(self, cycle_day: int, cycle: Cycle) -> pl.DataFrame:
        """Read the ended cycles (CYCLES) that were not looked at as they stand.

        Args:
            cycle_day: Of the customers whose cycles begin on this day.
            cycle: The cycle that is over; a customer without totals in it has revision 0.
        """
        rows = self._tx.frame(
            "insight/ended", _ENDED, cycle_day=cycle_day, cycle_start_date=cycle.start
        )
        return rows.with_columns(
            pl.lit(cycle.start, pl.Date).alias("cycle_start_date"),
            pl.lit(cycle.end, pl.Date).alias("cycle_end_date"),
        ).select(list(CYCLES))

    def closed(self) -> set[tuple[int, date]]:
        """Read the cycles whose records were removed after their term."""
        return closed_cycles(self._tx)

    def delivered(self, since: date) -> pl.DataFrame:
        """Read of how many customers providers touched cycles (DELIVERED)."""
        return self._tx.frame("insight/delivered", DELIVERED, since=since)

    def arrivals(self) -> pl.DataFrame:
        """Read the days on which providers delivered (ARRIVALS)."""
        return self._tx.frame("insight/arrivals", ARRIVALS)

    def duplicates(self) -> pl.DataFrame:
        """Read the imports that had duplicates (DUPLICATES)."""
        return self._tx.frame("insight/duplicates", DUPLICATES)

    def unmatched(self) -> pl.DataFrame:
        """Read the records that wait for an owner (UNMATCHED)."""
        return self._tx.frame("insight/unmatched", UNMATCHED)


# --- the store ----------------------------------------------------------------------------


class InsightStore:
    """The door for insights."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def unlooked(
        self,
        customer_id: int | None = None,
        cycle_start_date: date | None = None,
        day: date | None = None,
    ) -> pl.DataFrame:
        """Read the cycles (CYCLES) whose totals changed since someone looked.

        Args:
            customer_id: Only this customer's.
            cycle_start_date: Only the cycle that begins then.
            day: And those that contain this day, looked at or not.
        """
        with self._database.snapshot() as tx:
            return unlooked_in(tx, customer_id, cycle_start_date, day)

    def listed(
        self,
        *,
        customer_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        is_all: bool = False,
        most: int = 100,
    ) -> list[dict[str, Any]]:
        """Read insights that stand, the newest first; ``evidence`` is read as JSON."""
        with self._database.snapshot() as tx:
            frame = tx.frame(
                "insight/list",
                LISTED,
                customer_id=customer_id,
                kind=kind,
                since=since,
                is_all=int(is_all),
                most=most,
            )
        return [
            row | {"evidence": json.loads(row["evidence"])}
            for row in frame.iter_rows(named=True)
        ]

    def open_counts(self) -> dict[tuple[str, str], int]:
        """Count what stands and nobody acknowledged, by severity and kind."""
        with self._database.snapshot() as tx:
            return {
                (row["severity"], row["kind"]): int(row["insights"])
                for row in tx.rows("insight/open_counts")
            }

    def find(self, insight_id: int) -> Row | None:
        """Read one insight, whether it stands or not."""
        with self._database.snapshot() as tx:
            return tx.row("insight/by_id", id=insight_id)

    def acknowledge(self, insight_id: int, by: str, note: str | None) -> bool:
        """Keep who has seen an insight; False when someone did before."""

        def work(tx: Transaction) -> bool:
            changed = tx.execute(
                "insight/acknowledge", id=insight_id, acknowledged_by=by, note=note
            )
            return changed == 1

        return self._database.run(work)


def unlooked_in(
    tx: Transaction,
    customer_id: int | None = None,
    cycle_start_date: date | None = None,
    day: date | None = None,
) -> pl.DataFrame:
    """Do what :meth:`InsightStore.unlooked` does, inside the caller's transaction."""
    return tx.frame(
        "insight/unlooked",
        CYCLES,
        customer_id=customer_id,
        cycle_start_date=cycle_start_date,
        day=day,
    )


def mark_looked(tx: Transaction, looks: pl.DataFrame, part: Part) -> None:
    """Remember which revision of each cycle was looked at.

    Args:
        tx: The transaction that settles what was found.
        looks: Has the columns of ``LOOKS``.
        part: What the look was for.
    """
    looks = require(looks, LOOKS, "mark_looked")
    for (start,), group in looks.group_by("cycle_start_date"):
        for page in _pages(group["customer_id"].sort().to_list()):
            tx.execute(
                "insight/forget_looks",
                customer_ids=page,
                cycle_start_date=start,
                part=part,
            )
    rows = looks.sort("customer_id", "cycle_start_date").with_columns(part=pl.lit(part))
    tx.load(
        "insight_look", rows.select("customer_id", "cycle_start_date", "part", "revision")
    )


def of_span(customer_ids: Sequence[int], span: Cycle) -> Asked:
    """Ask for the records of customers in a cycle, or in a stretch of several."""
    return Asked(list(customer_ids), span.start, span.end)
