"""RoutIT over real HTTP on loopback: the happy walk, and every way it goes wrong."""

import hashlib
import logging
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from etl.extract.credentials import BasicCredentials
from etl.extract.deadline import Clock
from etl.extract.https import HttpLimits, HttpsSource, UnexpectedStatus
from etl.extract.routit import LinkExpired, Pending, Ready, RoutitClient
from etl.simulator import Fault, FaultKind, Place, RoutitSimulator
from tests.flow.routit_service import (
    ACCOUNT,
    IMPATIENT,
    MESSAGES,
    PERIOD,
    POLL,
    SECRET,
    client_of,
    zip_bytes,
)
from transforms.errors import BillingError, SourceError, SourceRejected, SourceUnavailable
from transforms.profile import RateLimit

ZIP = zip_bytes()
ONE_TRY = HttpLimits(attempts=1)


def simulator(
    *faults: Fault, auth: Literal["oauth2", "basic"] = "oauth2", pending_replies: int = 0
) -> RoutitSimulator:
    return RoutitSimulator(
        {(ACCOUNT, PERIOD): ZIP},
        messages=MESSAGES,
        pending_replies=pending_replies,
        auth=auth,
        secret=SECRET,
        faults=faults,
    )


def walk(client: RoutitClient, to: Path) -> None:
    """Request, ask for the state, download: all at once."""
    ready = client.status(client.request(ACCOUNT, PERIOD).request_id)
    assert isinstance(ready, Ready)
    client.download(ready, to)


def count_of(routit: RoutitSimulator, path: str) -> int:
    return sum(seen.path == path for seen in routit.requests)


# --- the happy walk ---


@pytest.mark.parametrize("auth", ["oauth2", "basic"])
def test_a_period_is_requested_awaited_and_downloaded(
    auth: Literal["oauth2", "basic"], tmp_path: Path
) -> None:
    to = tmp_path / "CDR_10001_202610.zip"
    with simulator(auth=auth, pending_replies=2) as routit:
        client = client_of(routit)
        requested = client.request(ACCOUNT, PERIOD)
        states = [client.status(requested.request_id) for _ in range(3)]
        assert states[:2] == [Pending(1), Pending(1)]
        assert isinstance(states[2], Ready)
        downloaded = client.download(states[2], to)

    assert to.read_bytes() == ZIP
    assert downloaded.size_bytes == len(ZIP)
    assert downloaded.sha256 == hashlib.sha256(ZIP).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == [to.name]
    assert to.stat().st_mode & 0o777 == 0o600


def test_the_same_period_asked_twice_is_one_request() -> None:
    with simulator() as routit:
        client = client_of(routit)
        assert client.request(ACCOUNT, PERIOD) == client.request(ACCOUNT, PERIOD)


def test_one_login_serves_the_whole_walk(tmp_path: Path) -> None:
    with simulator() as routit:
        walk(client_of(routit), tmp_path / "a.zip")
        paths = [seen.path for seen in routit.requests]
    assert paths == ["/token", "/queued", "/realtime", "/files/…"]


def test_a_token_refused_once_is_renewed_once() -> None:
    with simulator(Fault("unauthorized", "queued", at=1)) as routit:
        assert client_of(routit, ONE_TRY).request(ACCOUNT, PERIOD).request_id == "R00001"
        paths = [seen.path for seen in routit.requests]
    assert paths == ["/token", "/queued", "/token", "/queued"]


# --- each fault is told apart ---

CASES: list[tuple[FaultKind, Place, type[BillingError], str]] = [
    # RoutIT's own errors travel in a 200
    ("code_108", "queued", SourceUnavailable, "code 108: Too many requests"),
    ("code_108", "files", SourceUnavailable, "code 108: Too many requests"),
    ("error_body", "realtime", SourceError, "code 109: Message out of order"),
    # something that is no RoutIT message at all
    ("html_page", "queued", SourceUnavailable, "web page: 'Scheduled maintenance'"),
    ("html_page", "files", SourceUnavailable, "web page: 'Scheduled maintenance'"),
    ("empty_body", "realtime", SourceUnavailable, "empty body"),
    ("empty_body", "files", SourceUnavailable, "empty body"),
    # the service is away or busy
    ("server_error", "queued", SourceUnavailable, "/queued cannot answer now (500)"),
    ("server_error", "token", SourceUnavailable, "/token cannot answer now (500)"),
    ("busy", "files", SourceUnavailable, "cannot answer now (503)"),
    # a link that lived too short
    ("expired_link", "files", LinkExpired, "expired (410); request it again"),
    # bytes are missing
    ("truncated_body", "realtime", SourceUnavailable, "incomplete"),
    ("truncated_body", "files", SourceUnavailable, "incomplete"),
    ("early_close", "realtime", SourceUnavailable, "stops before its end"),
    ("early_close", "files", SourceUnavailable, "RoutIT announced"),
    ("truncated_gzip", "queued", SourceUnavailable, "gzip body is incomplete"),
    ("truncated_gzip", "files", SourceUnavailable, "gzip body is incomplete"),
    # bytes nobody asked for
    ("gzip_bomb", "queued", SourceError, "sends more than the 4194304 bytes"),
    ("wrong_range", "files", UnexpectedStatus, "answered 206, not a file"),
    # credentials
    ("unauthorized", "token", SourceRejected, "/token refused our credentials (401)"),
    ("unauthorized", "queued", SourceRejected, "/queued refused our credentials (401)"),
    ("unauthorized", "files", SourceRejected, "refused our credentials (401)"),
]


@pytest.mark.parametrize(("kind", "where", "error", "said"), CASES)
def test_a_fault_has_its_own_class_and_message_and_shows_no_secret(
    kind: FaultKind,
    where: Place,
    error: type[BillingError],
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    to = tmp_path / "CDR_10001_202610.zip"
    with simulator(Fault(kind, where, at=0)) as routit:
        client = client_of(routit, ONE_TRY)
        with pytest.raises(SourceError) as caught:
            walk(client, to)
        secrets = routit.secrets

    assert type(caught.value) is error
    assert said in str(caught.value)
    assert not to.exists()
    shown = "".join(traceback.format_exception(caught.value))
    for secret in secrets:
        assert secret not in shown + caplog.text + repr(client) + repr(caught.value)


@pytest.mark.parametrize("code", ["100", "101", "102"])
def test_a_credential_code_in_the_body_is_not_tried_again(code: str) -> None:
    with simulator(Fault("error_body", "queued", at=0, detail=code)) as routit:
        with pytest.raises(SourceRejected, match=f"code {code}"):
            client_of(routit).request(ACCOUNT, PERIOD)
        assert count_of(routit, "/queued") == 1


def test_refused_credentials_cause_no_retry_storm() -> None:
    with simulator(Fault("unauthorized", "queued", at=0)) as routit:
        with pytest.raises(SourceRejected):
            client_of(routit).request(ACCOUNT, PERIOD)
        assert count_of(routit, "/queued") == 2
        assert count_of(routit, "/token") == 2


def test_a_wrong_password_is_refused_at_once() -> None:
    with simulator(auth="basic") as routit:
        wrong = BasicCredentials("demo", "not-it")
        source = HttpsSource(routit.base_url, credentials=wrong, clock=IMPATIENT)
        with pytest.raises(SourceRejected):
            RoutitClient(source, POLL).request(ACCOUNT, PERIOD)
        assert count_of(routit, "/queued") == 1


def test_a_message_that_echoes_the_secret_is_redacted() -> None:
    with (
        simulator(Fault("error_body", "queued", detail=f"A {SECRET}")) as routit,
        pytest.raises(SourceError, match=r"code A \[secret\]") as caught,
    ):
        client_of(routit).request(ACCOUNT, PERIOD)
    assert SECRET not in str(caught.value)


# --- waiting ---


def test_too_many_requests_hands_the_wait_to_the_queue() -> None:
    with simulator(Fault("code_108", "queued", at=0, detail="7")) as routit:
        with pytest.raises(SourceUnavailable) as caught:
            client_of(routit).request(ACCOUNT, PERIOD)
        assert count_of(routit, "/queued") == 1
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("retry_after", "slept", "asked"),
    [
        ("2", [2.0], 2),  # short: waited for here, and then it works
        ("4000", [], 1),  # long: nobody sleeps, the queue waits; capped at 900 s
    ],
)
def test_a_busy_service_is_given_the_time_it_asks(
    retry_after: str, slept: list[float], asked: int
) -> None:
    sleeps: list[float] = []
    clock = Clock(sleep=sleeps.append, jitter=lambda: 0.0)
    with simulator(Fault("busy", "queued", detail=retry_after)) as routit:
        source = HttpsSource(routit.base_url, credentials=routit.credentials, clock=clock)
        waits = []
        try:
            RoutitClient(source, POLL).request(ACCOUNT, PERIOD)
        except SourceUnavailable as exc:
            waits.append(exc.retry_after_s)
        assert count_of(routit, "/queued") == asked
    assert sleeps == slept
    assert waits == ([] if slept else [900])


def test_attempts_are_bounded_and_wait_longer_each_time() -> None:
    sleeps: list[float] = []
    clock = Clock(sleep=sleeps.append, jitter=lambda: 0.0)
    with simulator(Fault("server_error", "queued", at=0)) as routit:
        source = HttpsSource(routit.base_url, credentials=routit.credentials, clock=clock)
        with pytest.raises(SourceUnavailable):
            RoutitClient(source, POLL).request(ACCOUNT, PERIOD)
        assert count_of(routit, "/queued") == 3
    assert sleeps == [0.5, 1.0]


def test_our_own_rate_limit_spaces_requests() -> None:
    sleeps: list[float] = []
    clock = Clock(monotonic=lambda: 0.0, sleep=sleeps.append)
    poll = replace(POLL, rate_limit=RateLimit(requests=2, window_s=5))
    with simulator() as routit:
        source = HttpsSource(routit.base_url, credentials=routit.credentials, clock=clock)
        client = RoutitClient(source, poll)
        for _ in range(3):
            client.request(ACCOUNT, PERIOD)
    assert sleeps == [5.0]


def test_a_service_that_is_not_there_is_worth_trying_again() -> None:
    with simulator() as routit:
        client = client_of(routit)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        client.request(ACCOUNT, PERIOD)


@pytest.mark.parametrize(
    ("kind", "where"), [("drip", "queued"), ("slow_headers", "queued"), ("drip", "files")]
)
def test_a_dripping_service_is_left_at_the_deadline(
    kind: FaultKind, where: Place, tmp_path: Path
) -> None:
    limits = HttpLimits(deadline_s=1, download_deadline_s=1)
    with simulator(Fault(kind, where, at=0)) as routit:
        client = client_of(routit, limits)
        began = time.monotonic()
        with pytest.raises(SourceUnavailable, match="did not finish within 1 s"):
            walk(client, tmp_path / "a.zip")
        assert time.monotonic() - began < 2


def test_a_download_below_the_minimum_rate_is_left_early(tmp_path: Path) -> None:
    limits = HttpLimits(attempts=1, rate_window_s=0.3, min_rate_bytes_per_s=1000)
    with (
        simulator(Fault("drip", "files", at=0)) as routit,
        pytest.raises(SourceUnavailable, match="too slowly"),
    ):
        walk(client_of(routit, limits), tmp_path / "a.zip")
