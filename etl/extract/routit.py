"""RoutIT: ask for a period's CDRs, wait until they are ready, bring the ZIP.

Effects: network and files, through ``HttpsSource``. The wire is plain XML over POST:
``{base}/queued`` takes a request, ``{base}/realtime`` says how it stands, and a ready one
names a file. RoutIT's message names are not public, so they are the profile's
(``[source.poll.messages]``), never this module's.

What the service can say, and what becomes of it: rate limited, a web page, an empty or
cut reply, a link that expired -> ``SourceUnavailable`` (worth trying again); refused
credentials -> ``SourceRejected``; any other code -> ``SourceError``.

Units: seconds (`_s`), bytes (`_bytes`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from pathlib import Path
from typing import Self
from xml.etree import ElementTree
from xml.parsers.expat import errors as expat

from etl.extract.http_body import html_title, is_html, safe_text
from etl.extract.https import (
    Arrived,
    Downloaded,
    HttpsSource,
    Reply,
    UnexpectedStatus,
)
from transforms.errors import ConfigError, SourceError, SourceRejected, SourceUnavailable
from transforms.profile import Poll, RateLimit

XML_TYPE = "application/xml; charset=utf-8"

_XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PERIOD = re.compile(r"\d{4}(?:0[1-9]|1[0-2])")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_START_BYTES = 4096
_ZIP_START = b"PK"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP_COMMENT_BYTES = 65_535
_NO_ERROR_CODES = ("", "0")
_CUT_SHORT = {
    expat.codes[expat.XML_ERROR_NO_ELEMENTS],
    expat.codes[expat.XML_ERROR_UNCLOSED_TOKEN],
    expat.codes[expat.XML_ERROR_PARTIAL_CHAR],
    expat.codes[expat.XML_ERROR_UNCLOSED_CDATA_SECTION],
}
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class LinkExpired(SourceUnavailable):
    """The link of a ready delivery works no more; ask for its status again."""


@dataclass(frozen=True)
class Messages:
    """RoutIT's own message, element and state names, by our role for them."""

    request: str
    status: str
    account: str
    period: str
    request_id: str
    state: str
    state_pending: str
    state_ready: str
    state_failed: str
    url: str
    sha256: str
    size_bytes: str
    retry_after_s: str
    code: str
    message: str

    @classmethod
    def from_profile(cls, names: Mapping[str, str]) -> Self:
        """Read ``[source.poll.messages]``, whole.

        Raises:
            ConfigError: All missing and unknown roles, and names XML does not allow.
        """
        roles = {role.name for role in fields(cls)}
        faults = [
            *(f"missing {role}" for role in sorted(roles - names.keys())),
            *(f"unknown {role}" for role in sorted(names.keys() - roles)),
            *(
                f"{role} = {name!r} is no XML name"
                for role, name in sorted(names.items())
                if _XML_NAME.fullmatch(name) is None
            ),
        ]
        if faults:
            msg = f"[source.poll.messages] of the profile: {'; '.join(faults)}"
            raise ConfigError(msg)
        return cls(**names)


@dataclass(frozen=True)
class Requested:
    """RoutIT took the request under this id; the same period gives the same id."""

    request_id: str


@dataclass(frozen=True)
class Pending:
    """Not ready; the service may say how long to wait."""

    retry_after_s: int | None


@dataclass(frozen=True)
class Ready:
    """The ZIP can be brought. The address is as good as a password: it is not shown."""

    url: str = field(repr=False)
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class RateWindow:
    """Our own limit on requests: at most ``limit.requests`` in any ``limit.window_s``.

    With 2 in 5 s and requests sent at second 0 and 1, the third may go at 5:
    ``wait_s(3.0) == 2.0``.
    """

    limit: RateLimit
    sent: tuple[float, ...] = ()

    def wait_s(self, now: float) -> float:
        """How long the next request must wait at second ``now``."""
        if len(self.sent) < self.limit.requests:
            return 0.0
        return max(0.0, self.sent[-self.limit.requests] + self.limit.window_s - now)

    def after(self, now: float) -> "RateWindow":
        """The window once a request was sent at ``now``."""
        return RateWindow(self.limit, (*self.sent, now)[-self.limit.requests :])


def next_wait_s(poll: Poll, attempt: int, retry_after_s: int | None, jitter: float) -> int:
    """How long to wait before asking again.

    Doubles from ``first_wait_s`` to ``max_wait_s``, shortened by up to a quarter so that
    many waiters do not ask at once, but never sooner than the service said (up to
    ``max_wait_s``). With 30 and 900: attempts 0, 1, 2 wait 30, 60, 120 s at jitter 0 and
    30, 45, 90 s at jitter 1; with ``retry_after_s=200`` each waits 200 s.

    Args:
        poll: The profile's waits.
        attempt: 0 for the first wait.
        retry_after_s: What the service asked for, if it did.
        jitter: A number from 0 to 1.
    """
    doubled_s = min(poll.max_wait_s, poll.first_wait_s << min(attempt, 30))
    own_s = max(poll.first_wait_s, doubled_s - int(doubled_s * jitter / 4))
    return max(own_s, min(retry_after_s or 0, poll.max_wait_s))


def is_given_up(poll: Poll, waited_s: int) -> bool:
    """Whether a request has been pending too long: 6 hours unless the profile differs."""
    return waited_s >= poll.give_up_after_s


class RoutitClient:
    """RoutIT's request -> pending -> ready -> download, each step one call.

    It never waits for a delivery: the caller's queue does, by ``next_wait_s``.

    Raises:
        ConfigError: The profile's message names are incomplete.
    """

    def __init__(self, source: HttpsSource, poll: Poll) -> None:
        self._source = source
        self._poll = poll
        self._names = Messages.from_profile(poll.messages)
        self._window = RateWindow(poll.rate_limit) if poll.rate_limit else None

    def request(self, account: str, period: str) -> Requested:
        """Ask for the CDRs of an account and a period such as ``202610``.

        Asking again is harmless: the service answers with the same id.

        Raises:
            ConfigError: The account or the period is not written as RoutIT wants it.
            SourceError: As the module says.
        """
        if _ACCOUNT.fullmatch(account) is None or _PERIOD.fullmatch(period) is None:
            msg = f"cannot ask RoutIT for account {account!r}, period {period!r} (YYYYMM)"
            raise ConfigError(msg)
        names = self._names
        content = {names.account: account, names.period: period}
        reply = self._ask("queued", names.request, content)
        return Requested(self._required(reply, names.request_id))

    def status(self, request_id: str) -> Pending | Ready:
        """Ask how a request stands.

        Raises:
            SourceError: As the module says; a failed preparation with its reason.
        """
        names = self._names
        reply = self._ask("realtime", names.status, {names.request_id: request_id})
        state = self._required(reply, names.state)
        if state == names.state_pending:
            return Pending(_whole(_text(reply, names.retry_after_s)))
        if state == names.state_ready:
            return self._ready(reply)
        reason = self._shown(_text(reply, names.message))
        msg = f"RoutIT says {self._shown(state)!r} of request {request_id}: {reason}"
        raise SourceError(msg)

    def _ready(self, reply: ElementTree.Element) -> Ready:
        names = self._names
        sha256 = _text(reply, names.sha256).lower()
        if sha256 and _SHA256.fullmatch(sha256) is None:
            msg = f"RoutIT's {names.sha256} is no sha256: {self._shown(sha256)!r}"
            raise SourceError(msg)
        size_bytes = _whole(_text(reply, names.size_bytes))
        return Ready(self._required(reply, names.url), sha256 or None, size_bytes)

    def download(self, ready: Ready, to: Path) -> Downloaded:
        """Bring a ready ZIP to ``to``; it gets that name only when it is whole.

        Raises:
            LinkExpired: The link works no more; ask for the status again.
            SourceError: As the module says, or the bytes are not the ZIP announced.
        """
        self._take_turn()
        try:
            return self._source.download(
                ready.url, to, verify=lambda arrived: self._verify(arrived, ready, to.name)
            )
        except UnexpectedStatus as exc:
            if exc.status not in _GONE:
                raise
            msg = f"the link of {to.name} has expired ({exc.status}); request it again"
            raise LinkExpired(msg) from exc

    def _ask(
        self, path: str, message: str, content: Mapping[str, str]
    ) -> ElementTree.Element:
        """Send one message and read the answer, unless it is an error in disguise."""
        self._take_turn()
        reply = self._source.post(path, xml_message(message, content), XML_TYPE)
        root = self._parsed(reply, message)
        self._refuse_error(root, message)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            msg = f"RoutIT answered {message} with status {reply.status}"
            raise SourceError(msg)
        return root

    def _verify(self, arrived: Arrived, ready: Ready, name: str) -> None:
        """See that a download is the ZIP that was announced, or say what came instead."""
        with arrived.path.open("rb") as stream:
            start = stream.read(_START_BYTES)
        if start.startswith(_ZIP_START):
            _refuse_unlike(arrived, ready, name)
            return
        reply = Reply(HTTPStatus.OK, {"content-type": arrived.content_type}, start)
        if not start.strip() or start.lstrip().startswith(b"<"):
            self._refuse_error(self._parsed(reply, name), name)
        msg = f"{name} is no ZIP; it begins {self._shown(start)!r}"
        raise SourceError(msg)

    def _take_turn(self) -> None:
        """Wait for our own rate limit; a few seconds at most."""
        if self._window is None:
            return
        clock = self._source.clock
        wait_s = self._window.wait_s(clock.monotonic())
        if wait_s > 0:
            clock.sleep(wait_s)
        self._window = self._window.after(clock.monotonic())

    def _parsed(self, reply: Reply, message: str) -> ElementTree.Element:
        """Read a reply as XML, or say what came instead."""
        if not reply.body.strip():
            msg = f"RoutIT answered {message} with an empty body (status {reply.status})"
            raise SourceUnavailable(msg)
        if is_html(reply.body, reply.headers.get("content-type", "")):
            title = self._shown(html_title(reply.body))
            msg = f"RoutIT answered {message} with a web page: {title!r}; try again later"
            raise SourceUnavailable(msg)
        try:
            return xml_root(reply.body)
        except SourceError as exc:
            shown = self._shown(reply.body)
            msg = f"RoutIT's answer to {message} is unusable: {exc}; it begins {shown!r}"
            raise type(exc)(msg) from exc

    def _refuse_error(self, root: ElementTree.Element, message: str) -> None:
        """An error travels as HTTP 200 with a code."""
        code = _text(root, self._names.code)
        if code in _NO_ERROR_CODES:
            return
        text = self._shown(_text(root, self._names.message)) or "no message"
        said = f"RoutIT answered {message} with code {self._shown(code)}: {text}"
        if code == self._poll.rate_limited_code:
            wait_s = _whole(_text(root, self._names.retry_after_s))
            msg = f"{said} (too many requests; try again later)"
            raise SourceUnavailable(msg, wait_s)
        if code in self._poll.auth_error_codes:
            msg = f"{said} (credentials refused; check the sync profile's credentials)"
            raise SourceRejected(msg)
        raise SourceError(said)

    def _required(self, root: ElementTree.Element, name: str) -> str:
        text = _text(root, name)
        if not text:
            msg = (
                f"RoutIT's answer {_local_name(root)} has no {name}; compare "
                "[source.poll.messages] of the profile with the provider's document"
            )
            raise SourceError(msg)
        return text

    def _shown(self, text: str | bytes) -> str:
        if isinstance(text, bytes):
            text = text.decode("utf-8", errors="replace")
        return safe_text(self._source.redact(text))


def xml_message(name: str, content: Mapping[str, str]) -> bytes:
    """Write one message: ``("A", {"B": "1"})`` -> ``<A><B>1</B></A>``, declared UTF-8."""
    root = ElementTree.Element(name)
    for child, text in content.items():
        ElementTree.SubElement(root, child).text = text
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def xml_root(body: bytes) -> ElementTree.Element:
    """Read a small XML document that may come from a stranger.

    Raises:
        SourceUnavailable: It stops before its end.
        SourceError: It is no XML, not UTF-8, or declares a DOCTYPE or entities.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        msg = "it is not UTF-8"
        raise SourceError(msg) from exc
    # Text, not bytes, goes to the parser: no declared encoding can hide a DOCTYPE.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        msg = "it declares a DOCTYPE or entities, which are refused"
        raise SourceError(msg)

    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as exc:
        if exc.code in _CUT_SHORT:
            msg = "it is XML that stops before its end"
            raise SourceUnavailable(msg) from exc
        line, column = exc.position
        msg = f"it is no XML (line {line}, column {column})"
        raise SourceError(msg) from exc


def _local_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _text(root: ElementTree.Element, name: str) -> str:
    """The text of the one element of that name; empty when there is none.

    Raises:
        SourceError: It stands there twice with different texts.
    """
    found = {(e.text or "").strip() for e in root.iter() if _local_name(e) == name}
    if len(found) > 1:
        msg = f"RoutIT's answer {_local_name(root)} has {name} {len(found)} times"
        raise SourceError(msg)
    return found.pop() if found else ""


def _whole(text: str) -> int | None:
    """A whole number of a reply, or None when it is absent or something else."""
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def _refuse_unlike(arrived: Arrived, ready: Ready, name: str) -> None:
    """The proof a ZIP owes before it gets its name.

    Raises:
        SourceUnavailable: It is not what was announced, or not whole.
    """
    if ready.size_bytes not in (None, arrived.size_bytes):
        msg = (
            f"{name} has {arrived.size_bytes} bytes, RoutIT announced "
            f"{ready.size_bytes}; it is fetched again"
        )
        raise SourceUnavailable(msg)
    if ready.sha256 not in (None, arrived.sha256):
        msg = f"{name} differs from the sha256 RoutIT announced; it is fetched again"
        raise SourceUnavailable(msg)
    if not _has_zip_end(arrived):
        msg = f"{name} is incomplete: the end record of the ZIP is missing"
        raise SourceUnavailable(msg)


def _has_zip_end(arrived: Arrived) -> bool:
    """Whether the file's last bytes are a ZIP's end record with its whole comment.

    A connection without a length that broke early leaves a file without one.
    """
    tail_bytes = min(arrived.size_bytes, _ZIP_END_BYTES + _ZIP_COMMENT_BYTES)
    with arrived.path.open("rb") as stream:
        stream.seek(arrived.size_bytes - tail_bytes)
        tail = stream.read(tail_bytes)
    at = tail.rfind(_ZIP_END)
    while at >= 0:
        comment_bytes = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _ZIP_END_BYTES + comment_bytes == len(tail):
            return True
        at = tail.rfind(_ZIP_END, 0, at)
    return False
