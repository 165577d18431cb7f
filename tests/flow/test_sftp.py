"""SFTP against a real server on loopback: new files come once, from the right server."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from etl.extract import folder, sftp
from etl.extract.sftp import RemoteFile, SftpFolder, SftpLimits, SftpPlace, Visit
from etl.handlers import bus_of
from loaders.audit import differences
from tests.flow.sftp_service import SECRET, USER, SftpService
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLES,
    house,
    imports,
    load_feeds,
    rows,
    sync,
    task_of,
)
from tests.flow.test_sync import FIVE_MINUTES
from transforms.errors import (
    ConfigError,
    SourceRejected,
    SourceUnavailable,
    StorageError,
)
from transforms.reference import SyncProfile, SyncSettings

YIELDER = "yielder_4711_2026-10.csv"
TMO = "TMO_CALVI_AC9_202610_0007.tsv"
LIMITS = SftpLimits(visit_s=20, file_bytes=1_000_000)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SECOND_LOOK_S", 0)
    monkeypatch.setattr(sftp, "SECOND_LOOK_S", 0)
    monkeypatch.setenv("ETL_TEST_SFTP_SECRET", SECRET)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SftpService]:
    out = tmp_path / "server" / "out"
    out.mkdir(parents=True)
    with SftpService(tmp_path / "server") as running:
        yield running


@pytest.fixture
def out(service: SftpService) -> Path:
    """The server's folder of deliveries."""
    return service.root / "out"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    made = tmp_path / "into"
    made.mkdir()
    return made


def remote(
    service: SftpService,
    *,
    secret: str = SECRET,
    known_hosts: Path | None = None,
    at: str = "/out",
    suffix: str = "",
    limits: SftpLimits = LIMITS,
) -> SftpFolder:
    hosts = known_hosts or service.known_hosts(service.root / "known_hosts")
    place = SftpPlace("yielder", "127.0.0.1", service.port, USER, secret, at, hosts)
    return SftpFolder(place, limits, "*.csv", suffix)


def feed(service: SftpService, provider: str = "yielder") -> SyncProfile:
    hosts = service.known_hosts(service.root / "known_hosts")
    settings = SyncSettings(
        "sftp",
        url=service.url,
        client_id=USER,
        secret="env:ETL_TEST_SFTP_SECRET",
        known_hosts=str(hosts),
    )
    return SyncProfile(provider, settings)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(b"a;b\r\n1;2\r\n")


def always(_file: RemoteFile) -> bool:
    return True


def brought(visit: Visit) -> dict[str, bytes]:
    return {each.remote.name: each.path.read_bytes() for each in visit.brought}


# --- one visit --------------------------------------------------------------------------


def test_new_files_are_brought_under_names_of_ours(
    service: SftpService, out: Path, into: Path
) -> None:
    put(out, "a.csv", "b.csv", "old.csv", "notes.txt", ".hidden.csv")
    (out / "folder.csv").mkdir()
    (out / "link.csv").symlink_to(out / "a.csv")

    visit = remote(service).visit(lambda file: file.name != "old.csv", into)

    assert brought(visit) == {"a.csv": b"a;b\r\n1;2\r\n", "b.csv": b"a;b\r\n1;2\r\n"}
    assert all(len(each.path.name) == 16 for each in visit.brought)
    assert sorted(each.name for each in out.iterdir()) == [
        ".hidden.csv",
        "a.csv",
        "b.csv",
        "folder.csv",
        "link.csv",
        "notes.txt",
        "old.csv",
    ]


def test_a_key_logs_in_as_well_as_a_password(
    service: SftpService, out: Path, into: Path
) -> None:
    put(out, "a.csv")
    key = service.client_key.export_private_key().decode()

    assert list(brought(remote(service, secret=key).visit(always, into))) == ["a.csv"]
    assert "password" not in service.logins


def test_a_server_with_another_key_gets_no_login(
    service: SftpService, into: Path, tmp_path: Path
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    hosts = service.known_hosts(tmp_path / "known_hosts", other)

    with pytest.raises(SourceRejected, match="the server's key is not the one in"):
        remote(service, known_hosts=hosts).visit(always, into)
    assert service.logins == []


def test_a_server_that_is_not_known_gets_no_login(
    service: SftpService, into: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()

    with pytest.raises(SourceRejected, match="nothing was sent"):
        remote(service, known_hosts=tmp_path / "empty").visit(always, into)
    with pytest.raises(ConfigError, match=r"known_hosts = '.*none' is not a file"):
        remote(service, known_hosts=tmp_path / "none").visit(always, into)
    assert service.logins == []


def test_a_refused_login_is_told_without_the_secret(
    service: SftpService, into: Path
) -> None:
    with pytest.raises(
        SourceRejected, match="login of the feed's user was refused"
    ) as told:
        remote(service, secret="canary-wrong").visit(always, into)
    assert "canary-wrong" not in str(told.value)
    assert "canary-wrong" not in repr(remote(service, secret="canary-wrong"))


def test_a_key_that_is_none_is_told_without_its_text(
    service: SftpService, into: Path
) -> None:
    text = (
        "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    with pytest.raises(ConfigError, match=r"settings\.secret is no private key") as told:
        remote(service, secret=text).visit(always, into)
    assert "canary" not in str(told.value)


def test_a_folder_that_is_not_there_is_a_setting_to_mend(
    service: SftpService, into: Path
) -> None:
    with pytest.raises(
        ConfigError, match=r"there is no folder /other; check settings\.url"
    ):
        remote(service, at="/other").visit(always, into)


def test_a_server_that_is_away_is_tried_again_later(
    service: SftpService, into: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = SftpPlace(
            "yielder",
            "127.0.0.1",
            probe.getsockname()[1],
            USER,
            SECRET,
            "/out",
            service.known_hosts(service.root / "known_hosts"),
        )
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            SftpFolder(place, LIMITS, "*.csv").visit(always, into)


def test_a_server_that_says_nothing_does_not_hold_a_worker(
    service: SftpService, into: Path
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = service.known_hosts(service.root / "known_hosts")
        port = silent.getsockname()[1]
        place = SftpPlace("yielder", "127.0.0.1", port, USER, SECRET, "/out", hosts)
        slow = SftpLimits(visit_s=1, file_bytes=1000)
        with pytest.raises(SourceUnavailable, match="no answer in time"):
            SftpFolder(place, slow, "*.csv").visit(always, into)


def test_a_file_that_changes_while_it_is_brought_is_left_for_the_next_visit(
    service: SftpService, out: Path, into: Path
) -> None:
    put(out, "a.csv", "b.csv")

    def grow(path: Path) -> None:
        if path.name == "a.csv":
            with path.open("ab") as file:
                file.write(b"3;4\r\n")

    service.on_read = grow
    visit = remote(service).visit(always, into)

    assert (list(brought(visit)), visit.growing) == (["b.csv"], ["a.csv"])


def test_a_file_that_is_rewritten_with_as_many_bytes_is_left_too(
    service: SftpService, out: Path, into: Path
) -> None:
    put(out, "a.csv")

    def rewrite(path: Path) -> None:
        path.write_bytes(b"a;b\r\n9;9\r\n")
        os.utime(path, (2_000_000_000, 2_000_000_000))

    service.on_read = rewrite
    assert remote(service).visit(always, into).growing == ["a.csv"]


def test_control_files_limits_and_unreadable_files(
    service: SftpService, out: Path, into: Path
) -> None:
    put(out, "a.csv", "a.csv.ctl", "alone.csv", "large.csv", "large.csv.ctl", "locked.csv")
    put(out, "locked.csv.ctl")
    (out / "large.csv").write_bytes(b"x" * 1001)

    def lock(path: Path) -> None:
        if path.name == "locked.csv":
            message = "locked"
            raise asyncssh.SFTPPermissionDenied(message)

    service.on_read = lock
    small = SftpLimits(visit_s=20, file_bytes=1000)
    visit = remote(service, suffix=".ctl", limits=small).visit(always, into)

    assert list(brought(visit)) == ["a.csv"]
    assert visit.brought[0].control is not None
    assert visit.brought[0].control.read_bytes() == b"a;b\r\n1;2\r\n"
    assert visit.without_control == ["alone.csv"]
    assert visit.too_large == ["large.csv"]
    assert visit.unreadable == ["locked.csv"]


def test_a_disk_that_is_full_here_is_not_blamed_on_the_provider(
    service: SftpService, out: Path, tmp_path: Path
) -> None:
    put(out, "a.csv")
    with pytest.raises(StorageError, match=r"cannot write /.*/no_such_place/"):
        remote(service).visit(always, tmp_path / "no_such_place")


# --- from server to totals --------------------------------------------------------------


def test_a_delivery_on_the_server_is_imported_once(
    database_url: str, tmp_path: Path, service: SftpService, out: Path
) -> None:
    shutil.copy(EXAMPLES / YIELDER, out)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed(service)})
        sync(app)
        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        assert task_of(app, "yielder").message == "1 to import"

        opened: list[Path] = []
        service.on_read = opened.append
        sync(app, AS_OF + FIVE_MINUTES)
        assert opened == []
        assert task_of(app, "yielder").message == "nothing new"

        # The same name and size, written again: brought, and known by its content.
        os.utime(out / YIELDER, (4_000_000_000, 4_000_000_000))
        sync(app, AS_OF + 2 * FIVE_MINUTES)
        assert [path.name for path in opened] == [YIELDER]
        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        assert task_of(app, "yielder").message == (
            f"nothing new; {YIELDER} was imported as 1 before"
        )
        assert differences(app.database) == []
        assert SECRET not in str(rows(database_url, "SELECT * FROM job"))


def test_a_name_that_cannot_be_one_fails_the_step_and_the_others_go_on(
    database_url: str, tmp_path: Path, service: SftpService, out: Path
) -> None:
    long_one = f"yielder_{'1' * 65}_2026-10.csv"
    shutil.copy(EXAMPLES / YIELDER, out)
    (out / long_one).write_bytes(b"x")
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed(service)})
        sync(app)

        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        task = task_of(app, "yielder")
        assert task.status == "failed"
        assert str(task.message).startswith(
            f"sftp:collect failed: {long_one}: {long_one}: its account has 65 characters, "
            "64 is the most"
        )


def test_a_delivery_comes_with_its_control_file(
    database_url: str, tmp_path: Path, service: SftpService, out: Path
) -> None:
    shutil.copy(EXAMPLES / TMO, out)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"tmobile_calvi": feed(service, "tmobile_calvi")})
        sync(app)
        assert task_of(app, "tmobile_calvi").message == (
            f"nothing new; {TMO}: waiting for .ctl"
        )

        shutil.copy(EXAMPLES / f"{TMO}.ctl", out)
        sync(app, AS_OF + FIVE_MINUTES)
        assert imports(database_url) == [("tmobile_calvi", "done", 6, 6, 0)]


def test_a_visit_that_was_killed_after_registering_goes_on_with_what_it_brought(
    database_url: str,
    tmp_path: Path,
    service: SftpService,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(EXAMPLES / YIELDER, out)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed(service)})
        monkeypatch.setattr("etl.collecting._finish", _killed)
        sync(app)
        assert imports(database_url)[0][1] == "waiting"
        monkeypatch.undo()
        monkeypatch.setenv("ETL_TEST_SFTP_SECRET", SECRET)

        (failed,) = app.jobs.list(status="failed")
        assert bus_of(app).resume(failed.id).exit_code == 0
        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]


def _killed(*_: object) -> None:
    raise RuntimeError


def test_a_server_that_changed_its_key_fails_its_own_task_only(
    database_url: str, tmp_path: Path, service: SftpService
) -> None:
    bad = feed(service)
    service.known_hosts(
        Path(bad.settings.known_hosts), asyncssh.generate_private_key("ssh-ed25519")
    )
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": bad})
        sync(app)

        task = task_of(app, "yielder")
        assert task.status == "failed"
        assert "Ask the provider whether the key changed" in str(task.message)


def test_a_feed_by_sftp_says_what_to_install_where_the_extra_is_missing(
    database_url: str,
    tmp_path: Path,
    service: SftpService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "etl.extract.sftp")
    monkeypatch.delattr("etl.extract.sftp")
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed(service)})
        sync(app)

        assert "pip install 'cdr-etl[sftp]'" in str(task_of(app, "yielder").message)
