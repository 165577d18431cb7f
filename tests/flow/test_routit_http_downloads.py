"""Downloads over real HTTP: resumed, restarted, never glued, never named half-way."""

import json
from pathlib import Path

import pytest

from etl.extract.http_answer import Answer
from etl.extract.https import HttpLimits, HttpsSource
from etl.extract.part_file import Mark, PartFile
from etl.extract.routit import Ready, RoutitClient
from etl.simulator import Fault, RoutitSimulator
from tests.flow.routit_service import (
    ACCOUNT,
    MESSAGES,
    PERIOD,
    POLL,
    client_of,
    source_of,
    zip_bytes,
)
from transforms.errors import LeaseHeld, SourceError, SourceUnavailable, StorageError

ZIP = zip_bytes()
ONE_TRY = HttpLimits(attempts=1)
CUT = Fault("truncated_body", "files", at=1, detail="70000")


def simulator(*faults: Fault, body: bytes = ZIP) -> RoutitSimulator:
    return RoutitSimulator(
        {(ACCOUNT, PERIOD): body}, messages=MESSAGES, pending_replies=0, faults=faults
    )


def ready_of(client: RoutitClient) -> Ready:
    ready = client.status(client.request(ACCOUNT, PERIOD).request_id)
    assert isinstance(ready, Ready)
    return ready


def cut_at_70000(routit: RoutitSimulator, to: Path) -> RoutitClient:
    """A client whose first download of ``to`` was cut after 70,000 bytes."""
    client = client_of(routit, ONE_TRY)
    with pytest.raises(SourceUnavailable, match="incomplete"):
        client.download(ready_of(client), to)
    assert to.with_name("a.zip.part").stat().st_size == 70_000
    return client


def ranges_of(routit: RoutitSimulator) -> list[int | None]:
    return [seen.range_from for seen in routit.requests if seen.path == "/files/…"]


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT) as routit:
        client = cut_at_70000(routit, to)
        downloaded = client.download(ready_of(client), to)
        assert ranges_of(routit) == [None, 70_000]
    assert downloaded.resumed_at_bytes == 70_000
    assert to.read_bytes() == ZIP
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_cut_is_mended_within_one_call(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT) as routit:
        client = client_of(routit)
        client.download(ready_of(client), to)
        assert ranges_of(routit) == [None, 70_000]
    assert to.read_bytes() == ZIP


@pytest.mark.parametrize("cut_bytes", [0, 1, 21, 65_536, len(ZIP) - 1])
def test_a_cut_at_any_byte_ends_in_the_same_file(cut_bytes: int, tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(Fault("truncated_body", "files", detail=str(cut_bytes))) as routit:
        client = client_of(routit)
        client.download(ready_of(client), to)
    assert to.read_bytes() == ZIP


@pytest.mark.parametrize(
    "spoilt",
    [Fault("wrong_range", "files", at=2), Fault("changed_etag", "files", at=2)],
    ids=["wrong range", "changed etag"],
)
def test_a_resume_that_does_not_fit_starts_from_the_first_byte(
    spoilt: Fault, tmp_path: Path
) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT, spoilt) as routit:
        client = cut_at_70000(routit, to)
        downloaded = client.download(ready_of(client), to)
        assert ranges_of(routit) == [None, 70_000, None]
    assert downloaded.resumed_at_bytes == 0
    assert to.read_bytes() == ZIP


def test_a_resume_that_is_cut_again_goes_on_from_there(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    again = Fault("early_close", "files", at=2, detail="1000")
    with simulator(CUT, again) as routit:
        client = cut_at_70000(routit, to)
        client_of(routit).download(ready_of(client), to)
        assert ranges_of(routit) == [None, 70_000, 71_000]
    assert to.read_bytes() == ZIP


def test_another_version_is_never_glued_to_the_first(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT) as routit:
        cut_at_70000(routit, to)
    other = zip_bytes(300_000)
    with simulator(body=other) as routit:
        client = client_of(routit)
        downloaded = client.download(ready_of(client), to)
        assert ranges_of(routit) == [70_000]
    assert downloaded.resumed_at_bytes == 0
    assert to.read_bytes() == other


def test_a_part_longer_than_the_file_starts_again(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT) as routit:
        client = cut_at_70000(routit, to)
        with to.with_name("a.zip.part").open("ab") as part:
            part.write(b"x" * len(ZIP))
        client.download(ready_of(client), to)
        assert ranges_of(routit) == [None, 70_000 + len(ZIP), None]
    assert to.read_bytes() == ZIP


def test_a_part_nobody_can_vouch_for_is_not_used(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    to.with_name("a.zip.part").write_bytes(b"from who knows where")
    to.with_name("a.zip.part.json").write_text(json.dumps({"etag": 7}))
    with simulator() as routit:
        client = client_of(routit)
        client.download(ready_of(client), to)
        assert ranges_of(routit) == [None]
    assert to.read_bytes() == ZIP


def test_a_damaged_part_is_found_by_its_hash_and_thrown_away(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator(CUT) as routit:
        client = cut_at_70000(routit, to)
        with to.with_name("a.zip.part").open("r+b") as part:
            part.seek(1000)
            part.write(b"\0\0\0\0")
        with pytest.raises(SourceUnavailable, match="differs from the sha256"):
            client.download(ready_of(client), to)
        assert list(tmp_path.iterdir()) == []
        client.download(ready_of(client), to)
    assert to.read_bytes() == ZIP


def test_an_early_close_without_any_promise_lacks_the_end_of_the_zip(
    tmp_path: Path,
) -> None:
    to = tmp_path / "a.zip"
    with simulator(Fault("early_close", "files", at=0)) as routit:
        client = client_of(routit, ONE_TRY)
        ready = Ready(ready_of(client).url)
        with pytest.raises(SourceUnavailable, match="end record of the ZIP is missing"):
            client.download(ready, to)
    assert not to.exists()


def test_what_is_no_zip_is_shown_by_its_first_characters(tmp_path: Path) -> None:
    body = b"Fout:\r\n\x1b[31mgeen bestand voor +31612345678 " + b"x" * 500
    with simulator(body=body) as routit:
        client = client_of(routit, ONE_TRY)
        with pytest.raises(SourceError) as caught:
            client.download(ready_of(client), tmp_path / "a.zip")
    said = str(caught.value)
    assert said.startswith(
        "a.zip is no ZIP; it begins 'Fout: [31mgeen bestand voor [number]"
    )
    assert len(said) < 250
    assert "\x1b" not in said


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    to.write_bytes(b"old")
    with simulator(CUT) as routit:
        client = cut_at_70000(routit, to)
        assert to.read_bytes() == b"old"
        client.download(ready_of(client), to)
    assert to.read_bytes() == ZIP


def test_a_file_over_the_limit_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    limits = HttpLimits(attempts=1, max_download_bytes=100_000)
    with simulator() as routit:
        client = client_of(routit, limits)
        with pytest.raises(SourceError, match="more than the 100000 bytes"):
            client.download(ready_of(client), tmp_path / "a.zip")
    assert (tmp_path / "a.zip.part").stat().st_size == 0


@pytest.mark.parametrize("kind", ["early_close", "gzip_bomb"])
def test_a_body_that_hides_its_size_stops_at_the_limit(kind: str, tmp_path: Path) -> None:
    fault = {
        "early_close": Fault("early_close", "files", at=0, detail="150000"),
        "gzip_bomb": Fault("gzip_bomb", "files", at=0),
    }[kind]
    limits = HttpLimits(attempts=1, max_download_bytes=100_000)
    with simulator(fault) as routit:
        client = client_of(routit, limits)
        with pytest.raises(SourceError, match="more than the 100000 bytes"):
            client.download(ready_of(client), tmp_path / "a.zip")
    assert (tmp_path / "a.zip.part").stat().st_size <= 100_000


def test_one_file_has_one_downloader(tmp_path: Path) -> None:
    to = tmp_path / "a.zip"
    with simulator() as routit, PartFile(to):
        client = client_of(routit)
        with pytest.raises(LeaseHeld, match=r"a\.zip"):
            client.download(ready_of(client), to)
    assert not to.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file where a folder should be")
    with simulator() as routit:
        client = client_of(routit)
        with pytest.raises(StorageError, match=r"folder/a\.zip\.part.*bytes are free"):
            client.download(ready_of(client), tmp_path / "folder" / "a.zip")


def test_a_file_the_disk_has_no_room_for_is_refused_before_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.extract.part_file.SPARE_BYTES", 1 << 60)
    with simulator() as routit:
        client = client_of(routit)
        with pytest.raises(StorageError, match=rf"needs {len(ZIP)} bytes .* are free"):
            client.download(ready_of(client), tmp_path / "a.zip")
    assert (tmp_path / "a.zip.part").stat().st_size == 0


# --- where we may go, and who learns who we are ---


def test_a_redirect_to_another_host_is_refused_and_nothing_is_sent_there(
    tmp_path: Path,
) -> None:
    with simulator() as elsewhere:
        away = Fault("redirect", "files", at=0, detail=f"{elsewhere.base_url}/files/x")
        with simulator(away) as routit:
            client = client_of(routit)
            with pytest.raises(SourceError, match="its host is not allowed"):
                client.download(ready_of(client), tmp_path / "a.zip")
        assert elsewhere.requests == []


def test_an_allowed_host_is_followed_to_but_never_told_who_we_are(tmp_path: Path) -> None:
    with simulator() as elsewhere:
        away = Fault("redirect", "files", at=0, detail=f"{elsewhere.base_url}/files/x")
        with simulator(away) as routit:
            host = elsewhere.base_url.removeprefix("http://")
            client = RoutitClient(source_of(routit, ONE_TRY, [host]), POLL)
            with pytest.raises(SourceError):
                client.download(ready_of(client), tmp_path / "a.zip")
        assert [(seen.path, seen.is_authorized) for seen in elsewhere.requests] == [
            ("/files/…", False)
        ]


def test_a_redirect_that_goes_round_is_left(tmp_path: Path) -> None:
    with simulator(Fault("redirect", "files", at=0, detail="/files/again")) as routit:
        client = client_of(routit)
        with pytest.raises(SourceError, match="redirected more than 5 times"):
            client.download(ready_of(client), tmp_path / "a.zip")
        assert len(ranges_of(routit)) == 6


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.zip",
        "http://10.0.0.5/a.zip",  # inside, and not encrypted
        "https://169.254.169.254/latest/meta-data",  # inside a cloud
        "https://127.0.0.1/a.zip",  # this machine, another port
        "https://api.grexx.today.evil.example/a.zip",
        "https://api.grexx.today:8443/a.zip",  # the host, another port
        "https://user:pw@api.grexx.today/a.zip",
        "http://api.grexx.today/a.zip",  # the host, not encrypted
        "//api.grexx.today/a.zip",
        "/a.zip",
        "https://",
        "https://api.grexx.today\x00/a.zip",
        "https://[::1/a.zip",
        "",
    ],
)
def test_an_address_out_of_bounds_is_refused_unvisited(url: str, tmp_path: Path) -> None:
    source = HttpsSource("https://api.grexx.today/v2", limits=ONE_TRY)
    with pytest.raises(SourceError) as caught:
        source.download(url, tmp_path / "a.zip")
    assert type(caught.value) is SourceError
    assert "pw@" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mark_needs_a_strong_name_and_a_length() -> None:
    strong = {"etag": '"v1"', "content-length": "5"}
    assert Answer(200, "", strong).mark == Mark('"v1"', 5)
    assert Answer(200, "", {**strong, "etag": 'W/"v1"'}).mark is None
    assert Answer(200, "", {**strong, "etag": '""'}).mark is None
    assert Answer(200, "", {**strong, "content-encoding": "gzip"}).mark is None
    assert Answer(200, "", {"etag": '"v1"'}).mark is None
