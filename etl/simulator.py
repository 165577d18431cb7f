"""A small RoutIT: a real HTTP server on this machine, for the demo and for tests.

Effects: one listening socket on 127.0.0.1 and its threads, gone when the ``with`` ends.
It plays the whole conversation: a login (OAuth2 client credentials, or Basic), a request
posted to ``/queued``, questions to ``/realtime`` that are answered "pending" a few times,
then a link under ``/files/`` to a ZIP with an ETag and ranges. The same period asked
twice is one and the same request. Every fault we have seen or fear can be played at a
chosen request.

Units: seconds (`_s`), bytes (`_bytes`).
"""

import gzip
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, Self

from etl.extract.credentials import (
    BasicCredentials,
    Credentials,
    OAuth2ClientCredentials,
    basic_header,
    secrets_of,
)
from etl.extract.routit import XML_TYPE, Messages, xml_message, xml_root
from transforms.errors import ContractError, SourceError

Place = Literal["token", "queued", "realtime", "files"]
"""The four things one can ask of the simulator."""

FaultKind = Literal[
    "code_108",
    "error_body",
    "html_page",
    "unauthorized",
    "server_error",
    "busy",
    "expired_link",
    "truncated_body",
    "drip",
    "slow_headers",
    "early_close",
    "truncated_gzip",
    "gzip_bomb",
    "wrong_range",
    "changed_etag",
    "redirect",
    "empty_body",
]

_MAX_REQUEST_BYTES = 64 * 1024
_SOCKET_S = 5
_BOMB_BYTES = 50 * 1024 * 1024
_DRIP_S = 0.1
_SLOW_HEADERS = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 1000
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_HTML = b"<!DOCTYPE html><html><head><title>Scheduled maintenance</title></head></html>"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        kind: What goes wrong.
        where: At which of the four places.
        at: At its first (1), second (2)… request; 0 is every one.
        detail: ``redirect``: where to. ``busy``: the Retry-After. ``error_body``: the
            code. ``truncated_body``, ``early_close``: how many bytes come before the end.
    """

    kind: FaultKind
    where: Place
    at: int = 1
    detail: str = ""


@dataclass(frozen=True)
class Seen:
    """A request as the simulator saw it: no secret, no token, no body."""

    method: str
    path: str
    is_authorized: bool
    """Whether any Authorization header came along."""
    range_from: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def range_from(self) -> int | None:
        """The first byte asked for, when only the rest of a file is wanted."""
        found = _RANGE.fullmatch(self.headers.get("range", ""))
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Answer:
    """What goes back. A fault may send less than it announces, or announce nothing."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent_bytes: int | None = None
    """How much of the body is sent before the connection is closed; None is all."""
    has_length: bool = True
    dripping: Literal["", "headers", "body"] = ""
    """What comes one byte at a time."""


@dataclass
class _Request:
    """One prepared delivery and how often its state was asked."""

    request_id: str
    body: bytes
    asked: int = 0
    link: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class RoutitSimulator:
    """A RoutIT that holds ``deliveries`` and answers on loopback.

    Example::

        with RoutitSimulator({("10001", "202610"): path}, messages=poll.messages) as routit:
            source = HttpsSource(routit.base_url, credentials=routit.credentials)

    Args:
        deliveries: ZIP bytes, or their file, by account and period.
        messages: The profile's ``[source.poll.messages]``.
        pending_replies: How often a state is "pending" before it is "ready".
        auth: Which login is asked for.
        client_id: The client, or the user under Basic.
        secret: Its secret, or the password under Basic.
        faults: What goes wrong, and when.
    """

    def __init__(
        self,
        deliveries: Mapping[tuple[str, str], bytes | Path],
        *,
        messages: Mapping[str, str],
        pending_replies: int = 2,
        auth: Literal["oauth2", "basic"] = "oauth2",
        client_id: str = "demo",
        secret: str = "demo-secret",
        faults: Sequence[Fault] = (),
    ) -> None:
        """Prepare; the socket opens at ``with``."""
        self._names = Messages.from_profile(messages)
        self._auth = auth
        self._client_id = client_id
        self.requests: list[Seen] = []
        self._secret = secret
        self._pending_replies = pending_replies
        self._faults = tuple(faults)
        self._counts: dict[str, int] = {}
        self._tokens: set[str] = set()
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self._requests = {
            wanted: _Request(f"R{number:05d}", _bytes_of(delivery))
            for number, (wanted, delivery) in enumerate(deliveries.items(), start=1)
        }
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and wait for the answers under way."""
        self.stopped.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    @property
    def base_url(self) -> str:
        """Where it listens: ``http://127.0.0.1:<port>``."""
        if self._server is None:
            msg = "the simulator listens inside its with block only"
            raise ContractError(msg)
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def credentials(self) -> Credentials:
        """What a client needs to log in here."""
        if self._auth == "basic":
            return BasicCredentials(self._client_id, self._secret)
        token_url = f"{self.base_url}/token"
        return OAuth2ClientCredentials(token_url, self._client_id, self._secret)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text given out that must stay out of logs: secret, tokens, links."""
        links = (request.link for request in self._requests.values())
        return (*secrets_of(self.credentials), *self._tokens, *links)

    def answer(self, asked: Asked) -> Answer:
        """Say what goes back: the rightful answer, or the fault whose turn it is."""
        place = _PLACES.get(asked.path.split("/")[1])
        path = "/files/…" if place == "files" else asked.path
        with self._lock:
            is_authorized = "authorization" in asked.headers
            self.requests.append(Seen(asked.method, path, is_authorized, asked.range_from))
            if place is None:
                return Answer(HTTPStatus.NOT_FOUND)
            fault = self._fault_of(place)
            rightful = self._rightful(place, asked)
            return rightful if fault is None else self._spoiled(rightful, fault)

    def _fault_of(self, place: Place) -> Fault | None:
        """The fault whose turn it is at this request of its place."""
        count = self._counts[place] = self._counts.get(place, 0) + 1
        turn = (f for f in self._faults if f.where == place and f.at in (0, count))
        return next(turn, None)

    def _rightful(self, place: Place, asked: Asked) -> Answer:
        if place == "token":
            return self._token(asked)
        if not self._is_logged_in(asked):
            return Answer(HTTPStatus.UNAUTHORIZED)
        if place == "files":
            return self._file(asked)
        try:
            root = xml_root(asked.body)
        except SourceError:
            return self._error("109", "Not a valid message")
        texts = {child.tag: child.text or "" for child in root}
        return self._queued(texts) if place == "queued" else self._realtime(texts)

    def _token(self, asked: Asked) -> Answer:
        login = OAuth2ClientCredentials("", self._client_id, self._secret)
        if asked.headers.get("authorization") != basic_header(login):
            return Answer(HTTPStatus.UNAUTHORIZED)
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        reply = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        headers = {"Content-Type": "application/json"}
        return Answer(body=json.dumps(reply).encode(), headers=headers)

    def _is_logged_in(self, asked: Asked) -> bool:
        given = asked.headers.get("authorization", "")
        if self._auth == "basic":
            return given == basic_header(BasicCredentials(self._client_id, self._secret))
        return given.removeprefix("Bearer ") in self._tokens

    def _queued(self, texts: Mapping[str, str]) -> Answer:
        """Take a request; a period asked before keeps its id."""
        names = self._names
        wanted = (texts.get(names.account, ""), texts.get(names.period, ""))
        if wanted not in self._requests:
            return self._error("110", "No such account or period")
        return _reply(names.request, {names.request_id: self._requests[wanted].request_id})

    def _realtime(self, texts: Mapping[str, str]) -> Answer:
        """Say "pending" a few times, then "ready" with the link."""
        names = self._names
        known = {request.request_id: request for request in self._requests.values()}
        request = known.get(texts.get(names.request_id, ""))
        if request is None:
            return self._error("111", "No such request")
        request.asked += 1
        if request.asked <= self._pending_replies:
            pending = {names.state: names.state_pending, names.retry_after_s: "1"}
            return _reply(names.status, pending)
        ready = {
            names.state: names.state_ready,
            names.url: f"{self.base_url}/files/{request.link}",
            names.sha256: hashlib.sha256(request.body).hexdigest(),
            names.size_bytes: str(len(request.body)),
        }
        return _reply(names.status, ready)

    def _file(self, asked: Asked) -> Answer:
        """Send a ZIP, or the rest of it when the client's version is still ours."""
        links = {f"/files/{r.link}": r.body for r in self._requests.values()}
        body = links.get(asked.path)
        if body is None:
            return Answer(HTTPStatus.NOT_FOUND)
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"Content-Type": "application/zip", "ETag": etag}
        start = asked.range_from
        if start is None or asked.headers.get("if-range", etag) != etag:
            return Answer(body=body, headers=headers)
        if start >= len(body):
            return Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        place = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers["Content-Range"] = place
        return Answer(HTTPStatus.PARTIAL_CONTENT, body[start:], headers)

    def _error(self, code: str, text: str, retry_after_s: str = "") -> Answer:
        """An error the RoutIT way: status 200, and a code in the body."""
        names = self._names
        content = {names.code: code, names.message: text}
        if retry_after_s:
            content[names.retry_after_s] = retry_after_s
        return _reply("Error", content)

    def _spoiled(self, rightful: Answer, fault: Fault) -> Answer:
        """Play a fault over the answer that would have been right."""
        if fault.kind == "code_108":
            return self._error("108", "Too many requests", fault.detail or "7")
        if fault.kind == "error_body":
            return self._error(fault.detail or "109", "Message out of order")
        if fault.kind in _PLAIN_FAULTS:
            return _PLAIN_FAULTS[fault.kind]
        if fault.kind == "busy":
            headers = {"Retry-After": fault.detail or "2"}
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
        if fault.kind == "redirect":
            headers = {"Location": fault.detail}
            return Answer(HTTPStatus.TEMPORARY_REDIRECT, headers=headers)
        return _broken(rightful, fault)


_PLACES: dict[str, Place] = {
    "token": "token",
    "queued": "queued",
    "realtime": "realtime",
    "files": "files",
}

_PLAIN_FAULTS: dict[FaultKind, Answer] = {
    "html_page": Answer(body=_HTML, headers={"Content-Type": "text/html"}),
    "unauthorized": Answer(HTTPStatus.UNAUTHORIZED),
    "server_error": Answer(HTTPStatus.INTERNAL_SERVER_ERROR),
    "expired_link": Answer(HTTPStatus.GONE),
    "empty_body": Answer(),
}


def _broken(rightful: Answer, fault: Fault) -> Answer:
    """Spoil how an answer travels: its length, its pace, its packing, its version."""
    sent_bytes = int(fault.detail or len(rightful.body) // 2)
    packed = {**rightful.headers, "Content-Encoding": "gzip"}
    match fault.kind:
        case "truncated_body":
            return replace(rightful, sent_bytes=sent_bytes)
        case "early_close":
            return replace(rightful, sent_bytes=sent_bytes, has_length=False)
        case "drip":
            return replace(rightful, dripping="body")
        case "slow_headers":
            return replace(rightful, dripping="headers")
        case "truncated_gzip":
            return replace(rightful, body=gzip.compress(rightful.body)[:-9], headers=packed)
        case "gzip_bomb":
            bomb = gzip.compress(bytes(_BOMB_BYTES), compresslevel=9)
            return replace(rightful, body=bomb, headers=packed)
        case "wrong_range":
            place = rightful.headers.get("Content-Range", "")
            size = place.rpartition("/")[2] or str(len(rightful.body))
            headers = {**rightful.headers, "Content-Range": f"bytes 1-2/{size}"}
            return replace(rightful, status=HTTPStatus.PARTIAL_CONTENT, headers=headers)
        case "changed_etag":
            return replace(rightful, headers={**rightful.headers, "ETag": '"other"'})
        case _:
            msg = f"the simulator cannot play {fault.kind}"
            raise ContractError(msg)


def _reply(name: str, content: Mapping[str, str]) -> Answer:
    return Answer(body=xml_message(name, content), headers={"Content-Type": XML_TYPE})


def _bytes_of(delivery: bytes | Path) -> bytes:
    return delivery if isinstance(delivery, bytes) else delivery.read_bytes()


class _Server(ThreadingHTTPServer):
    """The listening socket; its threads are waited for."""

    daemon_threads = False

    def __init__(self, simulator: RoutitSimulator) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.simulator = simulator

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what faults are for; nothing is printed."""


class _Handler(BaseHTTPRequestHandler):
    """Reads one request, writes one answer, closes the connection."""

    protocol_version = "HTTP/1.1"
    timeout = _SOCKET_S
    server: _Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def log_message(self, *_: object) -> None:
        """Keep quiet; ``RoutitSimulator.requests`` is the log."""

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        size_bytes = min(int(length) if length.isdigit() else 0, _MAX_REQUEST_BYTES)
        headers = {name.lower(): text for name, text in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(size_bytes))
        self._write(self.server.simulator.answer(asked))

    def _write(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.dripping == "headers":
            self._drip(_SLOW_HEADERS)
            return
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.has_length:
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        body = answer.body[: answer.sent_bytes]
        if answer.dripping == "body":
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        """One byte at a time, until the client has had enough or the server stops."""
        stopped = self.server.simulator.stopped
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            if stopped.wait(_DRIP_S):
                return
