"""A delivery that is not what it says it is loads nothing, says why, and can be mended."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from etl.importing import nothing_follows
from etl.spool import Spool
from loaders.imports import ImportRow
from tests.flow.import_world import ANNA, EXAMPLES, HEADER, World, call, write_routit
from transforms.errors import StorageError

CALVI = "TMO_CALVI_AC9_202610_0007.tsv"
VODAFONE = "Vodafone_300000061_202603.csv"
SP16 = "SP16_00016_20261006020000_000123.DAT"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 1, "account:AC9": 2, "account:00016": 2, "31600000061": 1})
        yield made


def refused(world: World, row: ImportRow) -> str:
    """The message of a refused import, which has loaded nothing and holds nothing."""
    assert (row.status, row.is_complete, row.is_locked) == ("refused", False, False)
    for table in ("call_detail_record", "import_batch", "import_cycle", "dirty_cycle"):
        assert world.table(table, "count(*)") == [(0,)]
    assert world.rows("SELECT owner FROM lease") == [(None,)]
    assert world.audit() == []
    return row.message or ""


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """Copy an example with one text in it replaced."""
    content = (EXAMPLES / name).read_bytes()
    assert content.count(old.encode()) == 1
    path = folder / name
    path.write_bytes(content.replace(old.encode(), new.encode()))
    return path


def test_a_delivery_without_its_control_file_waits_for_it(
    world: World, tmp_path: Path
) -> None:
    alone = Path(shutil.copy(EXAMPLES / CALVI, tmp_path))
    message = refused(world, world.load(alone, "tmobile_calvi"))
    assert f"{CALVI}: {CALVI}.ctl was not delivered" in message

    shutil.copy(EXAMPLES / f"{CALVI}.ctl", tmp_path)
    done = world.load(alone, "tmobile_calvi")

    assert (done.id, done.status, done.outcome.loaded) == (1, "done", 6)
    assert world.audit() == []


def test_a_control_file_that_was_wrong_can_be_sent_again(
    world: World, tmp_path: Path
) -> None:
    delivery = Path(shutil.copy(EXAMPLES / CALVI, tmp_path))
    changed(tmp_path, f"{CALVI}.ctl", "records=6", "records=7")
    message = refused(world, world.load(delivery, "tmobile_calvi"))
    assert "says 7, the file has 6 records" in message

    shutil.copy(EXAMPLES / f"{CALVI}.ctl", tmp_path)
    assert world.load(delivery, "tmobile_calvi").outcome.loaded == 6


@pytest.mark.parametrize(
    ("provider", "name", "old", "new", "told"),
    [
        ("kpn_sp16", SP16, "9000000006", "9000000007", "says 7, the file has 6 records"),
        (
            *("kpn_sp16", SP16, "-00000000248500", "-00000000248501"),
            "says -2.485010, the records add up to -2.485000",
        ),
        (
            *("vodafone_nl", VODAFONE, ";7;€ 1.251,85", ";7;€ 1.251,86"),
            "says 1251.860000, the records add up to 1251.850000",
        ),
        (
            *("vodafone_nl", VODAFONE, ";7;€ 1.251,85", ";8;€ 1.251,85"),
            "says 8, the file has 7 in 'Aantal'",
        ),
        (
            "vodafone_nl",
            VODAFONE,
            "Totaal;",
            "Subtotaal;",
            "exactly one total row is needed",
        ),
    ],
)
def test_a_file_that_is_not_what_its_control_record_says_is_refused(
    world: World, tmp_path: Path, provider: str, name: str, old: str, new: str, told: str
) -> None:
    message = refused(world, world.load(changed(tmp_path, name, old, new), provider))
    assert told in message
    assert message.startswith(f"{name}: ")


def test_a_delivery_with_too_many_faults_is_refused_and_its_faults_are_kept(
    world: World, tmp_path: Path
) -> None:
    calls = [call(str(n), Totaaltarief="x" if n < 51 else "4,05") for n in range(60)]
    row = world.load(write_routit(tmp_path, calls))

    message = refused(world, row)
    assert "51 of 60 records are faulty" in message
    assert "First: CDR_Mobile_10001_202501.csv line 2: amount 'x' is not written" in message
    assert (row.outcome.records, row.outcome.rejected) == (60, 51)
    assert world.table("rejected_record", "count(*)") == [(51,)]


def test_a_person_may_accept_a_delivery_with_many_faults(
    world: World, tmp_path: Path
) -> None:
    calls = [call(str(n), Totaaltarief="x" if n < 51 else "4,05") for n in range(60)]
    row, profile = world.register(write_routit(tmp_path, calls))
    importer = replace(world.importer, accepts_rejects=True)

    done = importer.import_stored(row, profile, nothing_follows)

    assert (done.status, done.outcome.loaded, done.outcome.rejected) == ("done", 9, 51)
    assert world.audit() == []


@pytest.mark.parametrize(
    ("provider", "name", "words"),
    [
        ("vodafone_nl", VODAFONE, "file_account, file_period"),
        ("kpn_sp16", SP16, "file_seq"),
    ],
)
def test_a_file_under_a_name_of_its_own_cannot_tell_its_records_apart(
    world: World, tmp_path: Path, provider: str, name: str, words: str
) -> None:
    renamed = Path(shutil.copy(EXAMPLES / name, tmp_path / "october.txt"))
    message = refused(world, world.load(renamed, provider))
    assert f"known by {words} too, which this name does not say" in message

    done = world.load(EXAMPLES / name, provider)

    assert (done.id, done.status, done.file_name) == (1, "done", name)


def test_a_name_that_says_nothing_is_no_fault_where_no_key_needs_it(
    world: World, tmp_path: Path
) -> None:
    path = write_routit(tmp_path, [call("1")], "october.zip")
    assert world.load(path).outcome.loaded == 1
    assert world.table("import_queue", "account", "period", "sequence") == [(None,) * 3]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([HEADER.replace("Datum", "datum"), call("1")], "the header in line 1 is not"),
        ([HEADER, call("1"), 'x,"never closed'], "line 3: a quote opened in the record"),
        ([], "the header in line 1 is not"),
    ],
)
def test_a_refusal_names_file_and_member(
    world: World, tmp_path: Path, lines: list[str], told: str
) -> None:
    path = write_routit(tmp_path, lines[1:], header=lines[0] if lines else "")
    message = refused(world, world.load(path))
    assert message.startswith(f"CDR_10001_202501.zip, CDR_Mobile_10001_202501.csv: {told}")


def test_a_delivery_without_records_is_done_and_says_so(
    world: World, tmp_path: Path
) -> None:
    done = world.load(write_routit(tmp_path, []))
    assert (done.status, done.outcome.records) == ("done", 0)
    assert done.message == "the delivery holds no records"


def test_a_held_delivery_is_left_alone(world: World, tmp_path: Path) -> None:
    row, _ = world.register(write_routit(tmp_path, [call("1")]))
    world.do("UPDATE import_queue SET status = 'held', message = '0006 is missing'")

    held = world.load(tmp_path / "CDR_10001_202501.zip")

    assert (held.id, held.status, held.message) == (row.id, "held", "0006 is missing")
    assert world.table("call_detail_record", "count(*)") == [(0,)]


# --- the disk -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_there", [True, False])
def test_stored_bytes_that_changed_or_vanished_are_not_imported(
    world: World, tmp_path: Path, *, is_there: bool
) -> None:
    row, profile = world.register(write_routit(tmp_path, [call("1")]))
    stored = world.app.storage.path(row.sha256)
    content = bytearray(stored.read_bytes())
    content[40] ^= 1
    stored.unlink()
    if is_there:
        stored.write_bytes(content)

    told = "have changed since" if is_there else "cannot be read"
    with pytest.raises(StorageError, match=told):
        world.importer.import_stored(row, profile, nothing_follows)

    assert world.table("import_queue", "status", "locked") == [("failed", 0)]
    stored.unlink(missing_ok=True)
    assert world.load(tmp_path / "CDR_10001_202501.zip").outcome.loaded == 1


def test_a_full_disk_is_told_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "rejected.arrows").symlink_to("/dev/full")

    with Spool(tmp_path / "work") as spool, pytest.raises(StorageError) as told:
        spool.write("rejected", pl.DataFrame({"raw": ["x" * 100_000]}))

    assert f"cannot write to the work folder {tmp_path}: No space left" in str(told.value)
