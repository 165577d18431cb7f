"""What the RoutIT tests share: message names, a poll, a ZIP, a client of a simulator."""

import io
import zipfile
from collections.abc import Iterable

from etl.extract.deadline import Clock
from etl.extract.https import HttpLimits, HttpsSource
from etl.extract.routit import RoutitClient
from etl.simulator import RoutitSimulator
from transforms.profile import Poll

MESSAGES = {
    "request": "RequestCdrs",
    "status": "GetCdrRequestStatus",
    "account": "AccountId",
    "period": "Period",
    "request_id": "RequestId",
    "state": "Status",
    "state_pending": "Pending",
    "state_ready": "Ready",
    "state_failed": "Failed",
    "url": "DownloadUrl",
    "sha256": "Sha256",
    "size_bytes": "SizeBytes",
    "retry_after_s": "RetryAfterSeconds",
    "code": "Code",
    "message": "Message",
}

POLL = Poll(
    rate_limited_code="108", auth_error_codes=("100", "101", "102"), messages=MESSAGES
)

SECRET = "canary-5f1e/9c+7a=d2"
ACCOUNT, PERIOD = "10001", "202610"

IMPATIENT = Clock(sleep=lambda _: None, jitter=lambda: 0.0)
"""Waits between attempts take no time; everything else is real."""


def zip_bytes(size_bytes: int = 200_000) -> bytes:
    """A ZIP of one stored member, so that its size is known roughly."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        line = b"1;2026-10-01;uitgaand;60\r\n"
        archive.writestr("CDR_Mobile_1.csv", line * (size_bytes // len(line)))
    return packed.getvalue()


def source_of(
    routit: RoutitSimulator,
    limits: HttpLimits | None = None,
    allowed_hosts: Iterable[str] = (),
) -> HttpsSource:
    """A source logged in at the simulator, without waits between attempts."""
    return HttpsSource(
        routit.base_url,
        credentials=routit.credentials,
        allowed_hosts=allowed_hosts,
        limits=limits,
        clock=IMPATIENT,
    )


def client_of(routit: RoutitSimulator, limits: HttpLimits | None = None) -> RoutitClient:
    """A client of the simulator."""
    return RoutitClient(source_of(routit, limits), POLL)
