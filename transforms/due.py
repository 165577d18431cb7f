"""Due: which feeds are to be fetched at a moment, and what of them is expected.

Pure; the moment is given. Times are counted in whole minutes, as cron does: a feed of
every 5 minutes that was begun at 10:00:01 is due again from 10:05:00 on, although the
schedule may come a second early.

Moments are aware date-times in UTC.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
A_MINUTE: Final = timedelta(minutes=1)

RANGES_SHOWN: Final = 5
"""Stretches of missing numbers that a message names; of further ones it says how many."""


@dataclass(frozen=True)
class Feed:
    """A feed of ``sync_profile`` as the schedule sees it."""

    id: int
    provider: str
    is_enabled: bool
    every_minutes: int
    last_sync_at: datetime | None = None


def is_due(feed: Feed, as_of: datetime) -> bool:
    """Whether a feed is to be fetched at a moment.

    A feed that was never fetched is due. One whose last fetch lies ahead by more than its
    own interval was begun by a clock that went wrong: it is due, or it would wait for
    that clock to come true.
    """
    if not feed.is_enabled:
        return False
    if feed.last_sync_at is None:
        return True
    since = _minute(as_of) - _minute(feed.last_sync_at)
    return since >= feed.every_minutes or since < -feed.every_minutes


def last_month(as_of: datetime, zone: str) -> str:
    """Return the month before a moment, on the wall clock of a zone: ``202609``.

    On 30 September at 22:30 UTC it is October in Amsterdam, so September is last month.
    """
    local = as_of.astimezone(ZoneInfo(zone))
    return (local.replace(day=1) - timedelta(days=1)).strftime("%Y%m")


def missing_numbers(
    number: int, arrived: Collection[int], held: Collection[int]
) -> tuple[range, ...]:
    """Find the sequence numbers that should have come before a delivery and did not.

    Counted from the last delivery before it that is not itself held; the first delivery
    ever misses nothing. With 7 and 10 arrived, 12 misses 8 to 9 and 11 when 10 is held,
    and only 11 when it is not.

    Args:
        number: The delivery's own.
        arrived: Numbers of the deliveries of this provider and account so far.
        held: Those among them that wait for a person.
    """
    settled = [each for each in arrived if each < number and each not in held]
    if not settled:
        return ()
    between = sorted({each for each in arrived if max(settled) < each < number})
    edges = [max(settled), *between, number]
    gaps = (range(low + 1, high) for low, high in pairwise(edges))
    return tuple(gap for gap in gaps if gap)


def numbers_text(gaps: Collection[range], digits: int) -> str:
    """Say which numbers are missing: ``000124, 000126 to 000130 (6 numbers)``."""
    shown = [
        f"{gap[0]:0{digits}d}" + (f" to {gap[-1]:0{digits}d}" if len(gap) > 1 else "")
        for gap in list(gaps)[:RANGES_SHOWN]
    ]
    count = sum(len(gap) for gap in gaps)
    more = ", …" if len(gaps) > RANGES_SHOWN else ""
    return ", ".join(shown) + more + (f" ({count} numbers)" if count > 1 else "")


def _minute(moment: datetime) -> int:
    return (moment - EPOCH) // A_MINUTE
