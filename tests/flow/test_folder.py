"""The drop folder: what is taken out of it, what is left, and where files go."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from etl import failpoints
from etl.extract import folder
from etl.extract.folder import DropFolder, FileChangedError, FoundFile
from etl.handlers import bus_of
from etl.sync import dispatch_syncs
from loaders.audit import differences
from loaders.imports import NewImport
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLES,
    deliver,
    folder_feed,
    house,
    imports,
    load_feeds,
    rows,
    sync,
    task_of,
)
from tests.flow.test_sync import FIVE_MINUTES
from transforms.errors import ConfigError, StorageError

SP16 = "SP16_00016_20261006020000_000123.DAT"
TMO = "TMO_CALVI_AC9_202610_0007.tsv"
YIELDER = "yielder_4711_2026-10.csv"


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SECOND_LOOK_S", 0)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def no_pause(_seconds: float) -> None:
    """Nothing happens between two looks."""


def drop_folder(
    root: Path, suffix: str = "", pause: Callable[[float], None] = no_pause
) -> DropFolder:
    return DropFolder("yielder", root, "*.csv", suffix, pause)


def names(files: tuple[FoundFile, ...]) -> list[str]:
    return [file.name for file in files]


def put(root: Path, *wanted: str) -> None:
    for name in wanted:
        (root / name).write_bytes(b"a;b\r\n1;2\r\n")


def content_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# --- which files are taken --------------------------------------------------------------


def test_whole_files_are_found_and_others_are_left_with_a_reason(drop: Path) -> None:
    put(drop, "b.csv", "a.csv", "notes.txt", ".a.csv.Xy1", "c.csv.part", "d.csv.TMP")
    (drop / "folder.csv").mkdir()
    (drop / "link.csv").symlink_to(drop / "a.csv")
    os.mkfifo(drop / "pipe.csv")

    look = drop_folder(drop).look()

    assert names(look.whole) == ["a.csv", "b.csv"]
    assert look.strangers == ("folder.csv", "link.csv", "notes.txt", "pipe.csv")
    assert (look.growing, look.without_control) == ((), ())


def test_a_file_that_changes_between_two_looks_is_still_growing(drop: Path) -> None:
    put(drop, "grows.csv", "same.csv", "vanishes.csv", "swapped.csv")

    def meanwhile(_seconds: float) -> None:
        with (drop / "grows.csv").open("ab") as file:
            file.write(b"3;4\r\n")
        (drop / "vanishes.csv").unlink()
        put(drop, "new", "late.csv")
        (drop / "new").replace(drop / "swapped.csv")

    look = drop_folder(drop, pause=meanwhile).look()

    assert names(look.whole) == ["same.csv"]
    assert look.growing == ("grows.csv", "swapped.csv", "vanishes.csv")


def test_a_file_that_someone_still_writes_is_left_although_it_stands_still(
    drop: Path,
) -> None:
    put(drop, "a.csv", "read.csv")
    with (drop / "a.csv").open("ab"), (drop / "read.csv").open("rb"):
        look = drop_folder(drop).look()
        assert (names(look.whole), look.growing) == (["read.csv"], ("a.csv",))

    assert names(drop_folder(drop).look().whole) == ["a.csv", "read.csv"]


def test_a_file_waits_until_its_control_file_is_whole_too(drop: Path) -> None:
    put(drop, "a.csv", "b.csv", "b.csv.ctl", "c.csv", "c.csv.ctl", "alone.csv.ctl")
    with (drop / "c.csv.ctl").open("ab"):
        look = drop_folder(drop, ".ctl").look()

    assert names(look.whole) == ["b.csv"]
    assert names(look.without_control) == ["a.csv", "c.csv"]
    assert (look.strangers, look.growing) == ((), ())


@pytest.mark.parametrize("other", ["link", "moved", "pipe", "other", "gone", "longer"])
def test_what_came_in_the_place_of_a_found_file_is_not_read(drop: Path, other: str) -> None:
    put(drop, "a.csv", "b.csv")
    (found, _) = drop_folder(drop).look().whole
    match other:
        case "longer":
            with (drop / "a.csv").open("ab") as file:
                file.write(b"more")
        case "other":
            (drop / "b.csv").replace(drop / "a.csv")
        case "moved":  # the very file, by a link
            (drop / "a.csv").rename(drop / "x.csv")
            (drop / "a.csv").symlink_to(drop / "x.csv")
        case _:
            (drop / "a.csv").unlink()
            if other == "link":
                (drop / "a.csv").symlink_to(drop / "b.csv")
            elif other == "pipe":
                os.mkfifo(drop / "a.csv")

    with pytest.raises(FileChangedError):
        drop_folder(drop).sha256(found)


def test_a_file_that_grows_while_it_is_read_is_not_taken(drop: Path) -> None:
    put(drop, "a.csv")
    (found,) = drop_folder(drop).look().whole
    blocks = drop_folder(drop).blocks(found)
    next(blocks)
    with (drop / "a.csv").open("ab") as file:
        file.write(b"more")

    with pytest.raises(FileChangedError):
        list(blocks)


def test_a_folder_that_is_not_there_is_a_setting_to_mend(drop: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings\.folder = '.*' is not a folder"):
        drop_folder(drop / "missing").look()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_places_that_are_no_folders_are_refused_before_a_file_is_taken(
    drop: Path, kind: str
) -> None:
    put(drop, "a.csv")
    if kind == "file":
        put(drop, "processed")
    else:
        (drop / "elsewhere").mkdir()
        (drop / "processed").symlink_to(drop / "elsewhere")

    with pytest.raises(ConfigError, match="processed/"):
        drop_folder(drop).look()


# --- where files go ---------------------------------------------------------------------


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_overwritten(drop: Path) -> None:
    for content in (b"first", b"second", b"third"):
        (drop / "a.csv").write_bytes(content)
        (found,) = drop_folder(drop).look().whole
        drop_folder(drop).put_away(found, "processed")

    assert content_of(drop) == {
        "processed/a.csv": b"first",
        "processed/a.csv.1": b"second",
        "processed/a.csv.2": b"third",
    }


def test_a_control_file_goes_with_its_file(drop: Path) -> None:
    put(drop, "a.csv", "a.csv.ctl")
    (found,) = drop_folder(drop, ".ctl").look().whole
    drop_folder(drop, ".ctl").put_away(found, "rejected")

    assert list(content_of(drop)) == ["rejected/a.csv", "rejected/a.csv.ctl"]


def test_another_file_that_came_in_the_place_of_a_taken_one_stays(drop: Path) -> None:
    put(drop, "a.csv")
    (found,) = drop_folder(drop).look().whole
    (drop / "a.csv").write_bytes(b"a new delivery")

    with pytest.raises(FileChangedError):
        drop_folder(drop).put_away(found, "processed")
    assert content_of(drop) == {"a.csv": b"a new delivery"}


def test_only_the_file_of_an_import_is_put_away_after_it(drop: Path) -> None:
    (drop / "a.csv").write_bytes(b"a new delivery")

    assert not drop_folder(drop).put_away_import("a.csv", "0" * 64, "processed")
    assert list(content_of(drop)) == ["a.csv"]


def test_a_disk_that_refuses_to_move_says_what_and_where(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drop, "a.csv")
    (found,) = drop_folder(drop).look().whole

    def refuse(_path: Path, _to: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"cannot move .*a\.csv: No space left"):
        drop_folder(drop).put_away(found, "processed")
    assert list(content_of(drop)) == ["a.csv"]


# --- from folder to import --------------------------------------------------------------


def test_a_file_is_imported_once_and_moved_and_the_same_bytes_again_change_nothing(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("yielder", drop)
    deliver(feed)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed})
        sync(app)
        shutil.copy(EXAMPLES / YIELDER, drop / "yielder_4711_2026-11.csv")
        sync(app, AS_OF + FIVE_MINUTES)

        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        assert list(content_of(drop)) == [
            f"processed/{YIELDER}",
            "processed/yielder_4711_2026-11.csv",
        ]
        assert task_of(app, "yielder").message == (
            "nothing new; yielder_4711_2026-11.csv was imported as 1 before"
        )
        assert differences(app.database) == []


def test_a_control_file_that_is_late_is_waited_for(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("tmobile_calvi", drop)
    shutil.copy(EXAMPLES / TMO, drop)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"tmobile_calvi": feed})
        sync(app)
        assert task_of(app, "tmobile_calvi").message == (
            f"nothing new; {TMO} waits for {TMO}.ctl"
        )
        assert imports(database_url) == []

        shutil.copy(EXAMPLES / f"{TMO}.ctl", drop)
        sync(app, AS_OF + FIVE_MINUTES)
        assert imports(database_url) == [("tmobile_calvi", "done", 6, 6, 0)]
        assert list(content_of(drop)) == [f"processed/{TMO}", f"processed/{TMO}.ctl"]


def test_a_refused_file_is_moved_aside_and_goes_through_once_it_is_mended(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("tmobile_calvi", drop)
    deliver(feed)
    wrong = (drop / f"{TMO}.ctl").read_text().replace("records=6", "records=7")
    (drop / f"{TMO}.ctl").write_text(wrong)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"tmobile_calvi": feed})
        ended = sync(app)

        assert ended["failed"] == 1
        assert imports(database_url)[0][:2] == ("tmobile_calvi", "refused")
        assert list(content_of(drop)) == [f"rejected/{TMO}", f"rejected/{TMO}.ctl"]
        assert task_of(app, "tmobile_calvi").status == "failed"

        # A person puts it back, with the right control file.
        shutil.move(drop / "rejected" / TMO, drop / TMO)
        shutil.copy(EXAMPLES / f"{TMO}.ctl", drop)
        sync(app, AS_OF + FIVE_MINUTES)

        assert imports(database_url) == [("tmobile_calvi", "done", 6, 6, 0)]
        assert f"processed/{TMO}" in content_of(drop)


def test_a_file_left_behind_by_a_kill_between_two_moves_is_moved_at_the_next_look(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("tmobile_calvi", drop)
    deliver(feed)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"tmobile_calvi": feed})
        sync(app)
        shutil.move(drop / "processed" / TMO, drop / TMO)  # its control file was moved
        sync(app, AS_OF + FIVE_MINUTES)

        assert list(content_of(drop)) == [f"processed/{TMO}", f"processed/{TMO}.ctl"]


def test_a_file_that_may_not_be_taken_fails_the_step_and_the_others_go_on(
    database_url: str, tmp_path: Path, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = folder_feed("yielder", drop)
    deliver(feed)
    (drop / "yielder_1_2026-10.csv").write_bytes(b"x" * 2_000_000)
    monkeypatch.setenv("ETL_LIMITS__DOWNLOAD_MB", "1")
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed})
        sync(app)

        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        task = task_of(app, "yielder")
        assert task.status == "failed"
        assert str(task.message).startswith(
            "folder:collect failed: yielder_1_2026-10.csv: it has 2000000 bytes, and "
            "1000000 is the limit"
        )
        assert list(content_of(drop)) == [f"processed/{YIELDER}", "yielder_1_2026-10.csv"]


def test_a_name_that_cannot_be_one_fails_the_step_and_the_others_go_on(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("yielder", drop)
    deliver(feed)
    put(drop, f"yielder_{'1' * 65}_2026-10.csv")
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed})
        sync(app)

        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        task = task_of(app, "yielder")
        assert task.status == "failed"
        assert "its account has 65 characters, 64 is the most" in str(task.message)


def test_names_that_are_no_delivery_are_told_and_left(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("yielder", drop)
    put(drop, "a\nb.txt", "c.txt", "d.txt", "e.txt")
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed})
        sync(app)

        assert task_of(app, "yielder").message == (
            "nothing new; a\\x0ab.txt, c.txt, d.txt and 1 more: not like "
            "yielder_*.csv, left alone"
        )


# --- sequence numbers -------------------------------------------------------------------


def number(drop: Path, sequence: int) -> str:
    """Deliver the SP16 example under another sequence number, with other records."""
    name = f"SP16_00016_2026100602{sequence % 100:02d}00_{sequence:06d}.DAT"
    text = (EXAMPLES / SP16).read_bytes()
    (drop / name).write_bytes(text.replace(b"000123", f"{sequence:06d}".encode()))
    return name


def statuses(url: str) -> list[tuple[object, ...]]:
    return rows(url, "SELECT sequence, status FROM import_queue ORDER BY id")


def test_a_gap_in_the_numbers_holds_a_delivery_until_a_person_lets_it_go(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("kpn_sp16", drop)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": feed})
        number(drop, 124)
        number(drop, 123)
        sync(app)
        assert statuses(database_url) == [("000123", "done"), ("000124", "done")]

        held = number(drop, 127)
        sync(app, AS_OF + FIVE_MINUTES)
        assert statuses(database_url)[-1] == ("000127", "held")
        (message,) = rows(
            database_url, "SELECT message FROM import_queue WHERE sequence = '000127'"
        )
        assert message == (
            "missing before it: 000125 to 000126 (2 numbers); ask the provider for what "
            "is missing, or let this one go with: etl import:release",
        )
        assert task_of(app, "kpn_sp16").status == "done"
        assert f"{held} is held as import 3: missing before it" in str(
            task_of(app, "kpn_sp16").message
        )
        assert held in content_of(drop)

        # It waits, however often the folder is looked at; so does the one after it.
        number(drop, 128)
        sync(app, AS_OF + 2 * FIVE_MINUTES)
        assert statuses(database_url)[-2:] == [("000127", "held"), ("000128", "held")]

        # What was let go is not held again, and nothing is missing after it.
        with app.database.transaction() as tx:
            released = {"profile_version": "0.1", "profile_sha256": "0" * 64}
            tx.execute("corrections/release", import_id=3, message="let go", **released)
        number(drop, 129)
        sync(app, AS_OF + 3 * FIVE_MINUTES)
        assert statuses(database_url)[2:] == [
            ("000127", "done"),
            ("000128", "held"),
            ("000129", "done"),
        ]
        assert differences(app.database) == []


def test_bytes_that_were_registered_before_are_never_held(
    database_url: str, tmp_path: Path
) -> None:
    first = NewImport(
        provider="kpn_sp16",
        file_name="a.DAT",
        sha256="0" * 64,
        size_bytes=1,
        account="00016",
        period=None,
        sequence="000123",
        profile_version="0.1",
        profile_sha256="1" * 64,
    )
    with house(database_url, tmp_path) as app:
        app.imports.register(first)
        again = replace(first, file_name="b.DAT", sequence="000130")

        assert not app.syncs.register_held(again, lambda _arrived: "a gap")
        assert statuses(database_url) == [("000123", "waiting")]


def test_a_missing_delivery_that_comes_late_is_imported(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": folder_feed("kpn_sp16", drop)})
        for minutes, sequence in enumerate((123, 125, 124)):
            number(drop, sequence)
            sync(app, AS_OF + minutes * FIVE_MINUTES)

        assert statuses(database_url) == [
            ("000123", "done"),
            ("000125", "held"),
            ("000124", "done"),
        ]


def test_a_gap_is_only_told_where_the_profile_says_warn(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    feed = folder_feed("tmobile_calvi", drop)
    deliver(feed)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"tmobile_calvi": feed})
        sync(app)
        later = "TMO_CALVI_AC9_202610_0010.tsv"
        text = (EXAMPLES / TMO).read_text().replace("\tC", "\tD")
        text = text.replace("\nC", "\nD")
        (drop / later).write_text(text)
        (drop / f"{later}.ctl").write_text("records=6\namount=0\nsha256=0\n")
        sync(app, AS_OF + FIVE_MINUTES)

        assert statuses(database_url)[-1] == ("0010", "refused")  # and not held
        told = rows(
            database_url,
            "SELECT result FROM job WHERE command = 'folder:collect' ORDER BY id DESC",
        )[0]
        assert f"{later}: missing before it: 0008 to 0009 (2 numbers)" in str(told)


def test_a_delivery_waits_for_one_before_it_that_is_still_being_written(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": folder_feed("kpn_sp16", drop)})
        number(drop, 123)
        sync(app)
        growing, later = number(drop, 124), number(drop, 125)
        with (drop / growing).open("ab"):
            sync(app, AS_OF + FIVE_MINUTES)
            assert statuses(database_url) == [("000123", "done")]
            assert task_of(app, "kpn_sp16").message == (
                f"nothing new; {later} goes after {growing}; {growing}: still being written"
            )

        sync(app, AS_OF + 2 * FIVE_MINUTES)
        assert statuses(database_url)[1:] == [("000124", "done"), ("000125", "done")]


def test_numbers_are_counted_by_account(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": folder_feed("kpn_sp16", drop)})
        number(drop, 123)
        number(drop, 130)
        (drop / "SP16_00016_20261006023000_000130.DAT").rename(
            drop / "SP16_00017_20261006023000_000130.DAT"
        )
        sync(app)

        held = rows(database_url, "SELECT COUNT(*) FROM import_queue WHERE status = 'held'")
        assert held == [(0,)]


# --- order, kills and full disks --------------------------------------------------------


def test_deliveries_of_a_provider_are_imported_in_their_order(
    database_url: str, tmp_path: Path, drop: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": folder_feed("kpn_sp16", drop)})
        number(drop, 124)
        number(drop, 123)
        bus = bus_of(app)
        dispatch_syncs(app.syncs, AS_OF)
        bus.work_one()
        bus.work_one()
        first, second = sorted(app.jobs.list(command="delivery:import"), key=lambda j: j.id)
        report = bus.resume(second.id)

        assert report.steps[0].status == "waiting"
        assert report.steps[0].message == (
            "import 1 of kpn_sp16 came first; this one goes after it"
        )
        assert bus.resume(first.id).exit_code == 0
        assert bus.resume(second.id).exit_code == 0
        assert statuses(database_url) == [("000123", "done"), ("000124", "done")]


@pytest.mark.parametrize(
    "fault",
    [
        "collect_registered:raise",
        "collect_before_finish:raise",
        "storage_before_rename:enospc",
        "storage_after_rename:enospc",
        "folder_before_move:eio",
        "folder_after_move:raise",
    ],
)
def test_a_fault_anywhere_in_the_collecting_is_mended_by_the_next_look(
    database_url: str,
    tmp_path: Path,
    drop: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    feed = folder_feed("kpn_sp16", drop)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": feed})
        number(drop, 123)
        number(drop, 124)
        monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(fault))
        sync(app)
        monkeypatch.setattr(failpoints, "_PLAN", None)
        sync(app, AS_OF + FIVE_MINUTES)

        assert statuses(database_url) == [("000123", "done"), ("000124", "done")]
        assert all(name.startswith("processed/") for name in content_of(drop))
        assert len(content_of(drop)) == 2
        assert rows(database_url, "SELECT COUNT(*) FROM call_detail_record") == [(12,)]
        assert differences(app.database) == []
        assert not list((tmp_path / "storage").glob("incoming/*"))
