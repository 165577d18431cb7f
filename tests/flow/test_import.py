"""Every record of a delivery ends in exactly one place, and costs what it costs."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flow.import_world import ANNA, BERT, EXAMPLES, World, call, write_routit

OWNERS = {
    **dict.fromkeys([ANNA, "31600000041", "31600000051", "31200000053"], 1),
    **dict.fromkeys(["31600000061", "31600000071", "31600000081"], 1),
    **dict.fromkeys([BERT, "31850000031", "31600000042", "31600000064"], 2),
    **dict.fromkeys(["31600000072", "3197000000074", "31600000083"], 2),
}
"""Who owns the numbers of the example deliveries; only ``anoniem`` has no owner."""

CASES = [
    # provider, file, loaded, duplicates, rejected, suspended, cost in micros
    ("routit", "CDR_10001_202610.zip", (10, 1, 0, 1), 2_306_530),
    ("kpn_een", "KPNEEN_123456789_202610.csv", (6, 0, 0, 0), -1_194_800),
    ("kpn_sp16", "SP16_00016_20261006020000_000123.DAT", (6, 0, 0, 0), -2_485_000),
    ("tmobile_calvi", "TMO_CALVI_AC9_202610_0007.tsv", (6, 0, 0, 0), 110_000),
    ("vodafone_nl", "Vodafone_300000061_202603.csv", (6, 0, 0, 0), 1_251_850_000),
    ("yielder", "yielder_4711_2026-10.csv", (5, 0, 1, 0), 12_545_100),
]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own(OWNERS)
        yield made


def ends(world: World, import_id: int = 1) -> dict[str, int]:
    """Where the records of an import ended: the counts that are not nought."""
    names = ("loaded", "duplicates", "conflicts", "rejected", "suspended", "ignored")
    (counts,) = world.table("import_queue", *names, where=f"id = {import_id}")
    return {name: count for name, count in zip(names, counts, strict=True) if count}


@pytest.mark.parametrize(("provider", "file", "counts", "cost_micros"), CASES)
def test_an_example_delivery_is_loaded_to_the_micro(
    world: World, provider: str, file: str, counts: tuple[int, ...], cost_micros: int
) -> None:
    done = world.load(EXAMPLES / file, provider)

    found = done.outcome
    assert done.status == "done"
    assert (
        found.loaded,
        found.duplicates,
        found.rejected,
        found.suspended,
    ) == counts
    assert (found.conflicts, found.ignored) == (0, 0)
    assert found.cost_micros == cost_micros
    assert world.rows("SELECT count(*), sum(cost_micros) FROM call_detail_record") == [
        (counts[0], cost_micros)
    ]
    assert world.audit() == []


def test_an_import_says_which_cycles_it_changed(world: World) -> None:
    world.load(EXAMPLES / "yielder_4711_2026-10.csv", "yielder")

    asked = ("customer_id", "cycle_start_date", "cycle_end_date")
    cycles = [
        (1, "2026-10-01", "2026-11-01"),
        (2, "2026-08-01", "2026-09-01"),  # a record of August, delivered late
        (2, "2026-10-01", "2026-11-01"),
    ]
    for table in ("import_cycle", "dirty_cycle"):
        found = world.table(table, *asked)
        assert [(each[0], str(each[1]), str(each[2])) for each in found] == cycles


def test_the_queue_knows_the_delivery_by_its_name_and_hash(world: World) -> None:
    world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")

    asked = ("type", "file_name", "account", "period", "sequence")
    states = ("locked", "complete", "status")
    assert world.table("import_queue", *asked, *states) == [
        (
            *("tmobile_calvi_cdr", "TMO_CALVI_AC9_202610_0007.tsv"),
            *("AC9", "202610", "0007", 0, 1, "done"),
        )
    ]


def test_the_same_bytes_under_another_name_change_nothing(
    world: World, tmp_path: Path
) -> None:
    first = world.load(EXAMPLES / "CDR_10001_202610.zip")
    before = world.results()
    copy = Path(shutil.copy(EXAMPLES / "CDR_10001_202610.zip", tmp_path / "again.zip"))

    again = world.load(copy)

    assert (again.id, again.file_name) == (first.id, "CDR_10001_202610.zip")
    assert again.outcome == first.outcome
    assert world.results() == before


def test_one_changed_cost_is_found_by_the_audit(world: World) -> None:
    world.load(EXAMPLES / "CDR_10001_202610.zip")
    world.do(
        "UPDATE call_detail_record SET cost_micros = cost_micros + 1 "
        "WHERE record_id = '810000001'"
    )

    (difference,) = world.audit()

    assert difference.check == "import_records"
    assert (difference.expected, difference.found) == (2_306_530, 2_306_531)


# --- records of one key -------------------------------------------------------------------

DEARER = {"Totaaltarief": "9,99"}
LATER = {"Tijdstip": "11:00:00"}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        # The same record twice in one file.
        ([call("1"), call("1")], {"loaded": 1, "duplicates": 1}),
        # One id with another price, and with another time, is quarantined.
        ([call("1"), call("1", **DEARER)], {"loaded": 1, "conflicts": 1}),
        ([call("1"), call("1", **LATER)], {"loaded": 1, "conflicts": 1}),
        # One id for two owners.
        ([call("1"), call("1", BERT)], {"loaded": 1, "conflicts": 1}),
        # A record that nobody owns waits; its repetition is a duplicate all the same.
        (
            [call("1", "31600000099"), call("1", "31600000099"), call("2")],
            {"loaded": 1, "duplicates": 1, "suspended": 1},
        ),
        # Unreadable, and by rule ignored.
        (
            [call("1"), call("2", Totaaltarief="x"), ""],
            {"loaded": 1, "rejected": 1, "ignored": 1},
        ),
    ],
)
def test_records_of_one_file(
    world: World, tmp_path: Path, calls: list[str], expected: dict[str, int]
) -> None:
    world.load(write_routit(tmp_path, calls))
    assert ends(world) == expected
    assert world.audit() == []


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (call("1"), {"duplicates": 1}),
        (call("1", **DEARER), {"conflicts": 1}),
        # The same id at another time, and of another owner: the clustered key differs.
        (call("1", **LATER), {"conflicts": 1}),
        (call("1", Datum="15-02-2025"), {"conflicts": 1}),
        (call("1", BERT), {"conflicts": 1}),
        # Nobody's now, but loaded before.
        (call("1", "31600000099"), {"conflicts": 1}),
    ],
)
def test_a_record_of_an_earlier_delivery_comes_again(
    world: World, tmp_path: Path, again: str, expected: dict[str, int]
) -> None:
    world.load(write_routit(tmp_path, [call("1")]))
    world.load(write_routit(tmp_path, [again, call("2")], "CDR_10001_202502.zip"))

    found = ends(world, 2)
    assert found == {"loaded": 1, **expected}
    stored = "SELECT cost_micros FROM call_detail_record WHERE record_id = '1'"
    assert world.rows(stored) == [(40_500,)]
    assert world.audit() == []


def test_a_number_that_changed_hands_does_not_make_its_old_records_new(
    world: World, tmp_path: Path
) -> None:
    world.load(write_routit(tmp_path, [call("1")]))
    world.own({ANNA: 2})
    world.load(write_routit(tmp_path, [call("1"), call("2")], "CDR_10001_202502.zip"))

    assert ends(world, 2) == {"loaded": 1, "duplicates": 1}
    owners = "SELECT record_id, customer_id FROM call_detail_record ORDER BY record_id"
    assert world.rows(owners) == [("1", 1), ("2", 2)]


def test_a_loaded_record_whose_number_nobody_owns_now_is_a_duplicate(
    world: World, tmp_path: Path
) -> None:
    world.load(write_routit(tmp_path, [call("1")]))
    world.own({BERT: 2})
    world.load(write_routit(tmp_path, [call("1"), call("2")], "CDR_10001_202502.zip"))

    assert ends(world, 2) == {"duplicates": 1, "suspended": 1}


def test_an_id_that_was_used_twice_long_ago_meets_its_record_once(
    world: World, tmp_path: Path
) -> None:
    spring = call("1", Datum="01-03-2025")
    summer = call("1", Datum="01-06-2025")
    for month, calls in {"03": [spring], "06": [summer]}.items():
        path = write_routit(tmp_path, calls, f"CDR_10001_2025{month}.zip")
        assert world.load(path).outcome.loaded == 1
    between = [spring, call("2", Datum="20-04-2025"), call("3", Datum="20-04-2025")]
    world.load(write_routit(tmp_path, between, "CDR_10001_202504.zip"))

    assert ends(world, 3) == {"loaded": 2, "duplicates": 1}
    assert world.audit() == []


def test_what_is_set_aside_says_why_and_against_what(world: World, tmp_path: Path) -> None:
    world.load(write_routit(tmp_path, [call("1"), call("1"), call("1", **DEARER)]))
    again = [call("1"), call("1", **LATER)]
    for number, line in enumerate(again):
        world.load(
            write_routit(tmp_path, [line, call(f"9{number}")], f"{number}/CDR_1_202501.zip")
        )

    asked = ("import_id", "line_no", "reason_code", "against_import_id")
    assert world.table("duplicate_record", *asked) == [
        (1, 3, "duplicate_in_file", 1),
        (2, 2, "duplicate_stored", 1),
    ]
    assert world.table("conflict_record", *asked) == [
        (1, 4, "conflict_in_file", 1),
        (3, 2, "conflict_stored", 1),
    ]


# --- keys that count occurrences ----------------------------------------------------------


def kpn_een(folder: Path, equal_rows: int, name: str, price: str = "0,24") -> Path:
    header, row = (EXAMPLES / "KPNEEN_123456789_202610.csv").read_bytes().splitlines()[:2]
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    rows = [row.replace(b"0,00", price.encode())] * equal_rows
    path.write_bytes(b"".join(line + b"\r\n" for line in (header, *rows)))
    return path


def vodafone(folder: Path, equal_rows: int, name: str) -> Path:
    lines = (EXAMPLES / "Vodafone_300000061_202603.csv").read_bytes().splitlines()
    start = "0600000061;29-03-2026;01:59:59;Gesprek;0600000063;Nederland"
    row = f"{start};00:01:00;;1;€ 0,10"
    total = f"Totaal;;;;;;;;{equal_rows};€ 0,{equal_rows}0"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    texts = [*[row] * equal_rows, total]
    path.write_bytes(
        b"".join(e + b"\r\n" for e in (*lines[:4], *(t.encode() for t in texts)))
    )
    return path


@pytest.mark.parametrize(
    ("provider", "write", "name"),
    [
        ("kpn_een", kpn_een, "KPNEEN_123456789_202610.csv"),
        ("vodafone_nl", vodafone, "Vodafone_300000061_202603.csv"),
    ],
)
def test_equal_rows_without_an_id_are_counted(
    world: World,
    tmp_path: Path,
    provider: str,
    write: Callable[[Path, int, str], Path],
    name: str,
) -> None:
    two = world.load(write(tmp_path / "a", 2, name), provider)
    three = world.load(write(tmp_path / "b", 3, name), provider)
    more = world.load(
        write(tmp_path / "c", 2, name), provider
    )  # as the first: no new import

    assert (two.outcome.loaded, two.outcome.duplicates) == (2, 0)
    assert (three.outcome.loaded, three.outcome.duplicates) == (1, 2)
    assert more.id == two.id
    assert world.rows("SELECT count(*) FROM call_detail_record") == [(3,)]
    assert world.audit() == []


def test_an_equal_delivery_in_other_bytes_is_all_duplicates(
    world: World, tmp_path: Path
) -> None:
    name = "KPNEEN_123456789_202610.csv"
    first = kpn_een(tmp_path / "a", 3, name)
    world.load(first, "kpn_een")
    again = tmp_path / "b" / name
    again.parent.mkdir()
    again.write_bytes(first.read_bytes().replace(b"\r\n", b"\n"))
    world.load(again, "kpn_een")

    assert ends(world, 2) == {"duplicates": 3}


# --- re-rated records ---------------------------------------------------------------------


def calvi(folder: Path, rows: list[str], number: int, period: str = "202610") -> Path:
    """Write a T-Mobile delivery and its control file; a row is ``C1 start charge``."""
    header = (EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv").read_text().splitlines()[0]
    path = folder / f"TMO_CALVI_AC9_{period}_{number:04}.tsv"
    path.parent.mkdir(exist_ok=True)
    lines, total = [header], 0
    for row in rows:
        record_id, start, cents, *number_of = row.split()
        msisdn = number_of[0] if number_of else "31600000071"
        total += int(cents)
        lines.append(
            f"{record_id}\tAC9\t{msisdn}\t\t\tMOC\t31200000021\t{start}\t60\t\tNL\t20416\tNAT"
            f"\t\t\t\t{int(cents) / 100:.2f}\t"
        )
    path.write_text("".join(f"{line}\n" for line in lines))
    Path(f"{path}.ctl").write_text(
        f"records={len(rows)}\namount={total / 100:.2f}\n{_sha(path)}\n"
    )
    return path


def _sha(path: Path) -> str:
    return f"sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_re_rated_record_replaces_the_earlier_one(world: World, tmp_path: Path) -> None:
    world.load(
        calvi(tmp_path, ["C1 2026-09-30T12:00:00Z 10", "C2 2026-10-02T12:00:00Z 20"], 7),
        "tmobile_calvi",
    )
    world.do("DELETE FROM dirty_cycle")
    # The price changed, and so did the day: it is in another cycle now.
    world.load(calvi(tmp_path, ["C1 2026-10-01T12:00:00Z 15"], 8), "tmobile_calvi")

    asked = ("record_id", "import_id", "cost_micros")
    assert world.table("call_detail_record", *asked) == [
        ("C1", 2, 150_000),
        ("C2", 1, 200_000),
    ]
    assert world.table("superseded_record", *asked) == [("C1", 1, 100_000)]
    assert world.rows("SELECT superseded_by_import_id FROM superseded_record") == [(2,)]
    dirty = (
        "SELECT customer_id, cycle_start_date FROM dirty_cycle ORDER BY cycle_start_date"
    )
    assert [(each[0], str(each[1])) for each in world.rows(dirty)] == [
        (1, "2026-09-01"),
        (1, "2026-10-01"),
    ]
    assert ends(world, 2) == {"loaded": 1}
    assert world.audit() == []


def test_a_re_rated_record_of_another_number_dirties_both_owners(
    world: World, tmp_path: Path
) -> None:
    at = "2026-10-01T12:00:00Z"
    world.load(calvi(tmp_path, [f"C1 {at} 10 31600000071"], 7), "tmobile_calvi")
    world.do("DELETE FROM dirty_cycle")
    world.load(calvi(tmp_path, [f"C1 {at} 10 31600000072"], 8), "tmobile_calvi")

    assert world.rows("SELECT customer_id FROM call_detail_record") == [(2,)]
    assert world.rows("SELECT customer_id FROM dirty_cycle ORDER BY customer_id") == [
        (1,),
        (2,),
    ]


def test_a_delivery_that_comes_late_does_not_undo_a_later_one(
    world: World, tmp_path: Path
) -> None:
    at = "2026-10-01T12:00:00Z"
    world.load(calvi(tmp_path, [f"C1 {at} 15"], 8), "tmobile_calvi")
    world.load(calvi(tmp_path, [f"C1 {at} 10"], 7), "tmobile_calvi")

    assert world.rows("SELECT import_id, cost_micros FROM call_detail_record") == [
        (1, 150_000)
    ]
    assert ends(world, 2) == {"conflicts": 1}
    assert world.rows("SELECT reason_code FROM conflict_record") == [("superseded_stored",)]
