"""Why a line of totals changed: records came, late or not, were corrected, or went."""

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from transforms.revisions import (
    ARRIVALS,
    BEFORE_ALL,
    CORRECTIONS,
    ONE_OFF,
    Facts,
    Happened,
    corrected_records,
    line_changes,
)
from transforms.totals import LINES

END = date(2026, 11, 1)


def at(day: int, month: int = 10) -> datetime:
    return datetime(2026, month, day, 9)  # noqa: DTZ001 - naive, by the database's clock


def facts(revision: int, read_at: datetime, **other: Any) -> Facts:  # noqa: ANN401
    given: dict[str, Any] = {
        "method": "standard",
        "rate_plan": None,
        "rate_plan_version": None,
    }
    return Facts(revision, **{**given, **other}, read_at=read_at)


WAS, NOW = facts(1, at(10)), facts(2, at(20))


def lines(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    """Usage type, zone, how many records, and what they cost in micros."""
    full = [
        (1, date(2026, 10, 1), number, usage, zone, count, 0, 0, 0, 0, cost)
        for number, (usage, zone, count, cost) in enumerate(rows, start=1)
    ]
    return pl.DataFrame(full, LINES, orient="row")


def arrived(
    count: int, came_at: datetime, usage: str = "voice", zone: str | None = None
) -> dict[str, object]:
    return {
        "usage_type": usage,
        "zone": zone,
        "import_id": 7,
        "came_at": came_at,
        "record_count": count,
    }


def corrected(
    came_at: datetime, replaced_at: datetime, *, zone: str | None = None, **now: object
) -> dict[str, object]:
    """A call that cost 1000 micros and costs 2000 since it was replaced."""
    is_now = {
        "now_usage_type": "voice",
        "now_zone": zone,
        "now_member": "b.csv",
        "now_line_no": 4,
        "now_cost_micros": 2000,
    }
    return {
        "provider": "tmobile_calvi",
        "record_id": "C1",
        "call_date": at(5),
        "fingerprint": 17,
        "usage_type": "voice",
        "zone": zone,
        "import_id": 7,
        "member": "a.csv",
        "line_no": 3,
        "cost_micros": 1000,
        "came_at": came_at,
        "replaced_by": 9,
        "replaced_at": replaced_at,
        **is_now,
        **now,
    }


def happened(
    arrivals: list[dict[str, object]] | None = None,
    corrections: list[dict[str, object]] | None = None,
    reasons: tuple[str, ...] = (),
) -> Happened:
    return Happened(
        pl.DataFrame(arrivals or [], ARRIVALS),
        pl.DataFrame(corrections or [], CORRECTIONS),
        END,
        reasons,
    )


def why(
    before: pl.DataFrame, after: pl.DataFrame, what: Happened, now: Facts = NOW
) -> dict[tuple[object, object], object]:
    """Why each line that changed did."""
    changes = line_changes(WAS, before, now, after, what)
    return {(each["usage_type"], each["zone"]): each["why"] for each in changes}


ONE = lines(("voice", "", 1, 1000))
TWO = lines(("voice", "", 2, 2000))
DEARER = lines(("voice", "", 1, 2000))
VOICE = ("voice", "")


@pytest.mark.parametrize(
    ("arrivals", "told"),
    [
        # The first came before the first revision, the second between the two.
        ([arrived(1, at(5)), arrived(1, at(15))], "1 record added"),
        # The cycle ended on 1 November; the newer revision was read after that.
        ([arrived(1, at(5)), arrived(1, at(2, 11))], "1 record added late"),
        # It came between the two by the counts, whatever its import says.
        ([arrived(2, at(5))], "1 record added"),
    ],
)
def test_a_record_that_came_was_in_time_or_late(
    arrivals: list[dict[str, object]], told: str
) -> None:
    now = facts(2, at(5, 11))
    assert why(ONE, TWO, happened(arrivals), now) == {VOICE: [told]}


def test_a_record_that_went_leaves_no_trace_but_the_count() -> None:
    assert why(TWO, ONE, happened([arrived(1, at(5))])) == {VOICE: ["1 record gone"]}


def test_a_record_that_was_replaced_is_corrected_and_not_added() -> None:
    what = happened([arrived(1, at(15))], [corrected(at(5), at(15))])
    assert why(ONE, DEARER, what) == {VOICE: ["1 record corrected"]}


def test_what_was_corrected_before_the_older_revision_is_not_told_again() -> None:
    what = happened([arrived(1, at(8)), arrived(1, at(15))], [corrected(at(5), at(8))])
    assert why(DEARER, lines(("voice", "", 2, 3000)), what) == {VOICE: ["1 record added"]}


def test_a_record_that_came_and_was_corrected_in_between_is_added_once() -> None:
    what = happened([arrived(1, at(5)), arrived(1, at(16))], [corrected(at(15), at(16))])
    assert why(ONE, lines(("voice", "", 2, 3000)), what) == {VOICE: ["1 record added"]}


def test_a_correction_to_another_zone_is_told_in_both_lines() -> None:
    what = happened(
        [arrived(1, at(15), zone="EU")],
        [corrected(at(5), at(15), now_zone="EU")],
    )
    after = lines(("voice", "EU", 1, 2000))
    assert why(ONE, after, what) == {
        ("voice", ""): ["1 record corrected"],
        ("voice", "EU"): ["1 record corrected"],
    }


def test_a_record_that_was_corrected_to_another_cycle_is_gone_from_this_one() -> None:
    elsewhere = dict.fromkeys(("now_usage_type", "now_member", "now_line_no"))
    what = happened([arrived(1, at(5))], [corrected(at(5), at(15), **elsewhere)])
    assert why(TWO, ONE, what) == {VOICE: ["1 record gone"]}


def test_a_record_of_roaming_is_in_the_line_of_its_country() -> None:
    row = {**arrived(1, at(15), zone="ROW"), "roaming_country": "CH"}
    after = lines(("voice", "", 1, 1000), ("voice", "CH", 1, 1000))
    told = why(ONE, after, happened([arrived(1, at(5)), row]))
    assert told == {("voice", "CH"): ["1 record added"]}


def test_several_causes_of_one_line_are_all_told() -> None:
    now = facts(2, at(5, 11), method="rateplan", rate_plan="office")
    what = happened(
        [arrived(2, at(15)), arrived(1, at(2, 11)), arrived(1, at(16))],
        [corrected(at(5), at(16))],
    )
    assert why(ONE, lines(("voice", "", 4, 9000)), what, now) == {
        VOICE: [
            "2 records added",
            "1 record added late",
            "1 record corrected",
            "plan changed",
        ]
    }


@pytest.mark.parametrize(
    ("reasons", "method", "told"),
    [
        ((ONE_OFF,), "rateplan", ONE_OFF),
        (("import 9 reverted",), "standard", "import 9 reverted"),
        (("asked for",), "standard", "records corrected"),
        ((), "standard", "records corrected"),
    ],
)
def test_a_line_whose_records_and_plan_did_not_change_has_a_reason_too(
    reasons: tuple[str, ...], method: str, told: str
) -> None:
    what = happened([arrived(1, at(5))], reasons=reasons)
    now = facts(2, at(20), method=method)
    before = facts(1, at(10), method=method)
    (change,) = line_changes(before, ONE, now, DEARER, what)
    assert change["why"] == [told]


def test_a_line_that_lost_an_allowance_to_another_one_follows_from_it() -> None:
    now, was = (
        facts(each.revision, each.read_at, method="rateplan") for each in (NOW, WAS)
    )
    before = lines(("sms", "", 1, 0), ("voice", "", 1, 1000))
    after = lines(("sms", "", 1, 500), ("voice", "", 2, 1000))
    what = happened([arrived(1, at(5), "sms"), arrived(1, at(5)), arrived(1, at(15))])
    told = {each["usage_type"]: each["why"] for each in line_changes(
        was, before, now, after, what
    )}  # fmt: skip
    assert told == {"sms": ["follows from other lines"], "voice": ["1 record added"]}


def test_what_was_put_back_says_so_in_every_line() -> None:
    back = facts(3, at(10), reason="put back from revision 1")
    (change,) = line_changes(NOW, TWO, back, ONE, happened([arrived(2, at(5))]))
    assert change["why"] == ["put back from revision 1"]


def test_the_first_revision_has_every_record_added() -> None:
    nothing = facts(0, BEFORE_ALL)
    (change,) = line_changes(nothing, ONE.clear(), WAS, ONE, happened([arrived(1, at(5))]))
    assert (change["was"], change["why"]) == (None, ["1 record added"])


def test_a_corrected_record_is_shown_as_it_was_and_as_it_is() -> None:
    rows = [corrected(at(5), at(15)), corrected(at(5), at(9)) | {"fingerprint": 18}]
    frame = pl.DataFrame(rows, CORRECTIONS)

    assert corrected_records(frame, at(10), at(20)) == [
        {
            "record_id": "C1",
            "call_date": at(5),
            "usage_type": "voice",
            "was": {"import_id": 7, "member": "a.csv", "line_no": 3, "cost_micros": 1000},
            "is": {"import_id": 9, "member": "b.csv", "line_no": 4, "cost_micros": 2000},
            "corrected_by": 9,
        }
    ]
