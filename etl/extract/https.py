"""HTTPS: the only door to providers' services, and the only module that knows httpx.

Effects: network, files, the monotonic clock. What an HTTP library leaves open is closed
here: a deadline for the whole call (not for each read), a minimum rate, a maximum size
counted after decompression, redirects by hand and only to allowed hosts, secrets that
stay with their own origin, and downloads that get their name only when they are whole.

Every fault becomes one of ours (``transforms/errors.py``): ``SourceUnavailable`` is worth
trying again, ``SourceRejected`` is not, ``SourceError`` needs a look. No message holds a
secret: addresses are shown without query, user and long path parts.

Proxy variables and ``.netrc`` are not read: providers admit one address, ours, and a
secret nobody configured here must not travel.

Units: seconds (`_s`), bytes (`_bytes`). One ``HttpsSource`` serves one thread.
"""

import ipaddress
import logging
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import httpcore
import httpx

from etl.extract.credentials import (
    BasicCredentials,
    Credentials,
    OAuth2ClientCredentials,
    Token,
    basic_header,
    checked,
    secrets_of,
    token_of,
)
from etl.extract.deadline import Clock, Deadline, DeadlineBackend
from etl.extract.http_answer import Answer
from etl.extract.http_body import decoded, safe_text
from etl.extract.part_file import PartFile
from transforms.errors import ConfigError, SourceError, SourceRejected, SourceUnavailable

_T = TypeVar("_T")

_REDIRECTS = (301, 302, 303, 307, 308)
_BODY_KEEPING_REDIRECTS = (307, 308)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LONG_PART = 16
"""A path part this long may be a token; it is not shown."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HttpLimits:
    """A limit on everything a service could do to us.

    The deadlines span the whole call: connecting, redirects, retries and their waits.
    A body must bring ``min_rate_bytes_per_s`` over each ``rate_window_s``.
    """

    deadline_s: float = 60
    download_deadline_s: float = 3600
    connect_s: float = 10
    silence_s: float = 30
    min_rate_bytes_per_s: int = 1024
    rate_window_s: float = 30
    max_reply_bytes: int = 4 * 1024 * 1024
    max_download_bytes: int = 2 * 1024 * 1024 * 1024
    max_redirects: int = 5
    attempts: int = 3
    first_retry_wait_s: float = 0.5
    max_retry_wait_s: float = 5
    """Longer waits are not slept here: the caller's queue tries again later."""
    max_retry_after_s: int = 900


@dataclass(frozen=True)
class Reply:
    """One answer, read to its end and decompressed. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Downloaded:
    """A file that is whole and has its name."""

    size_bytes: int
    sha256: str
    etag: str
    resumed_at_bytes: int = 0


@dataclass(frozen=True)
class Arrived:
    """A download read to its end, not yet named: what ``verify`` may look at.

    Without ``is_end_known`` a connection that broke early looks like the end of the file.
    """

    path: Path
    size_bytes: int
    sha256: str
    content_type: str
    is_end_known: bool


Verify = Callable[[Arrived], None]
"""Raises a ``SourceError`` when the bytes are not what they should be."""

TransportMaker = Callable[[Deadline], httpx.BaseTransport]


class UnexpectedStatus(SourceError):  # noqa: N818 - a state, not a mistake
    """The service answered with a status this call cannot use."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Call:
    """One request as its caller means it, before redirects and credentials."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class _Fetched:
    """The last answer of a download, and where its bytes began."""

    answer: Answer
    from_bytes: int


class HttpsSource:
    """One provider's service.

    Args:
        base_url: Where the service lives; ``post`` paths are added to it.
        credentials: How to say who we are; sent to ``base_url``'s origin only.
        allowed_hosts: Further hosts (``host`` or ``host:port``) that files and redirects
            may name. A host without a port means 443.
        limits: Bounds on time, size and attempts.
        clock: Time; injectable.
        transport: Makes the transport of one call; injectable.
        ca_file: Extra trust for a private authority. There is no way to verify less.

    Raises:
        ConfigError: The address, a host or a credential cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Credentials | None = None,
        allowed_hosts: Iterable[str] = (),
        limits: HttpLimits | None = None,
        clock: Clock | None = None,
        transport: TransportMaker | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Check the address; nothing is opened before the first call."""
        _quieten_libraries()
        self.limits = limits or HttpLimits()
        self.clock = clock or Clock()
        self._base = _configured(base_url)
        self._allowed = {_origin(self._base)[1:], *map(_host_and_port, allowed_hosts)}
        self._credentials = checked(credentials)
        if isinstance(credentials, OAuth2ClientCredentials):
            _configured(credentials.token_url)
        self._token: Token | None = None
        self._transport = transport or _transport_maker(ca_file)

    def post(self, path: str, body: bytes, content_type: str) -> Reply:
        """Send a small document and read the small answer.

        A broken connection or a busy service is tried again, so a document can arrive
        twice; the service must not mind. Statuses that say nothing about credentials or
        load come back as they are, for the caller to judge.

        Raises:
            SourceUnavailable: Away, busy, slow or cut off; worth trying again later.
            SourceRejected: The credentials or the service's certificate were refused.
            SourceError: A reply over the limit, a redirect that is not allowed.
        """
        deadline = Deadline(self.clock, self.limits.deadline_s)
        url = _parsed(f"{str(self._base).rstrip('/')}/{path.lstrip('/')}")
        call = _Call("POST", url, {"Content-Type": content_type}, body)

        def once() -> Reply:
            with self._exchange(call, deadline) as response:
                answer = _answer(response)
                answer.refuse_failure(self.limits.max_retry_after_s)
                blocks = self._body(response, deadline, self.limits.max_reply_bytes)
                return Reply(answer.status, answer.headers, b"".join(blocks))

        return self._persist(once, deadline)

    def download(
        self, url: str, to: Path, *, resume: bool = True, verify: Verify | None = None
    ) -> Downloaded:
        """Bring a file to ``to``, which appears only when it is whole and verified.

        A cut is resumed from the bytes at hand while the service proves by its ETag that
        they belong to the same version; else the file starts again from 0.

        Args:
            url: Absolute, https (http on loopback only), at an allowed host.
            to: The final name; ``<name>.part`` grows beside it.
            resume: Whether bytes of an earlier run may be used.
            verify: Looks at the bytes before they get their name; when it raises, the
                bytes are thrown away.

        Raises:
            SourceUnavailable: Away, busy, slow or cut off; the part is kept.
            SourceRejected: The credentials or the service's certificate were refused.
            UnexpectedStatus: Any other status than a file's.
            SourceError: Not allowed, too large, or what ``verify`` raised.
            LeaseHeld: Another download of the same file is under way.
            StorageError: The disk refused.
        """
        deadline = Deadline(self.clock, self.limits.download_deadline_s)
        call = _Call("GET", self._permitted(_parsed(url)), {})

        with PartFile(to) as part:
            if not resume:
                part.restart(None)
            fetched = self._persist(lambda: self._fetch(call, part, deadline), deadline)
            arrived = Arrived(
                part.path,
                part.size_bytes,
                part.sha256(),
                fetched.answer.content_type,
                fetched.answer.is_end_known,
            )
            _look(arrived, part, verify)
            part.finish()

        etag = fetched.answer.etag
        return Downloaded(arrived.size_bytes, arrived.sha256, etag, fetched.from_bytes)

    def redact(self, text: str) -> str:
        """Take this source's own secrets out of a text someone will read."""
        token = (self._token.value,) if self._token else ()
        for secret in (*secrets_of(self._credentials), *token):
            text = text.replace(secret, "[secret]")
        return text

    # --- one download ---

    def _fetch(self, call: _Call, part: PartFile, deadline: Deadline) -> _Fetched:
        """One attempt: go on from the part, or from 0 where that is not safe."""
        mark = part.mark
        offset_bytes = part.size_bytes if mark else 0
        if mark is None or not offset_bytes:
            return self._fetch_whole(call, part, deadline)

        headers = {"Range": f"bytes={offset_bytes}-", "If-Range": mark.etag}
        with self._exchange(replace(call, headers=headers), deadline) as response:
            answer = _answer(response)
            answer.refuse_failure(self.limits.max_retry_after_s)
            if answer.is_continuation(mark, offset_bytes):
                return self._receive(response, part, deadline)
            if answer.status == HTTPStatus.OK:
                part.restart(answer.mark)
                return self._receive(response, part, deadline)
        return self._fetch_whole(call, part, deadline)

    def _fetch_whole(self, call: _Call, part: PartFile, deadline: Deadline) -> _Fetched:
        with self._exchange(call, deadline) as response:
            answer = _answer(response)
            answer.refuse_failure(self.limits.max_retry_after_s)
            if answer.status != HTTPStatus.OK:
                msg = f"{answer.where} answered {answer.status}, not a file"
                raise UnexpectedStatus(msg, answer.status)
            part.restart(answer.mark)
            return self._receive(response, part, deadline)

    def _receive(
        self, response: httpx.Response, part: PartFile, deadline: Deadline
    ) -> _Fetched:
        """Add one answer's body to the part and see that nothing is missing."""
        answer, from_bytes = _answer(response), part.size_bytes
        room_bytes = self.limits.max_download_bytes - from_bytes
        answer.refuse_oversize(answer.length_bytes or 0, room_bytes)
        part.require_space(answer.length_bytes or 0)
        for block in self._body(response, deadline, room_bytes):
            part.append(block)

        # A server may serve only a piece of the range we asked for.
        answer.refuse_short(part.size_bytes, part.mark.size_bytes if part.mark else None)
        return _Fetched(answer, from_bytes)

    # --- one exchange ---

    def _persist(self, once: Callable[[], _T], deadline: Deadline) -> _T:
        """Try again a few times while it is worth it and there is time."""
        for attempt in range(1, self.limits.attempts):
            try:
                return once()
            except SourceUnavailable as exc:
                wait_s = self._retry_wait_s(attempt, exc.retry_after_s)
                is_long = wait_s > self.limits.max_retry_wait_s
                if is_long or wait_s >= deadline.remaining_s:
                    raise
                self.clock.sleep(wait_s)
        return once()

    def _retry_wait_s(self, attempt: int, retry_after_s: int | None) -> float:
        """0.5 s, then double, up to a quarter longer by chance; never sooner than told."""
        doubled_s = self.limits.first_retry_wait_s * 2.0 ** (attempt - 1)
        own_s = doubled_s * (1 + self.clock.jitter() / 4)
        return max(min(own_s, self.limits.max_retry_wait_s), retry_after_s or 0)

    @contextmanager
    def _exchange(self, call: _Call, deadline: Deadline) -> Iterator[httpx.Response]:
        """Send, follow redirects by hand, renew an aged token once; yield the answer."""
        url, hops, is_renewed = call.url, 0, False
        while hops <= self.limits.max_redirects:
            headers = {**call.headers, **self._authorization(url, deadline)}
            with self._sent(replace(call, url=url, headers=headers), deadline) as response:
                if self._is_aged_token(response) and not is_renewed:
                    self._token, is_renewed = None, True
                    continue
                target = self._redirect_target(call, response)
                if target is None:
                    yield response
                    return
            url, hops = target, hops + 1

        msg = f"{_shown(call.url)} redirected more than {self.limits.max_redirects} times"
        raise SourceError(msg)

    @contextmanager
    def _sent(self, call: _Call, deadline: Deadline) -> Iterator[httpx.Response]:
        """Speak HTTP once, on a connection of its own; httpx's faults leave as ours."""
        headers = {"User-Agent": "cdr-etl", "Accept-Encoding": "identity", **call.headers}
        timeout = httpx.Timeout(self.limits.silence_s, connect=self.limits.connect_s)
        transport = self._transport(deadline)
        with (
            _translated(_shown(call.url), deadline),
            httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client,
        ):
            request = client.build_request(
                call.method, call.url, headers=headers, content=call.body
            )
            response = client.send(request, stream=True)
            _log.info(
                "answered",
                extra={
                    "method": call.method,
                    "address": _shown(call.url),
                    "http_status": response.status_code,
                },
            )
            try:
                yield response
            finally:
                response.close()

    def _body(
        self, response: httpx.Response, deadline: Deadline, max_bytes: int
    ) -> Iterator[bytes]:
        """Yield the decompressed body, whole and within its limits, or raise."""
        answer, total_bytes = _answer(response), 0
        raw = self._metered(response, answer, deadline)
        for block in decoded(raw, answer.content_encoding):
            total_bytes += len(block)
            answer.refuse_oversize(total_bytes, max_bytes)
            yield block

    def _metered(
        self, response: httpx.Response, answer: Answer, deadline: Deadline
    ) -> Iterator[bytes]:
        """Yield the bytes as they come, while they come fast enough and all of them."""
        now = self.clock.monotonic
        total_bytes, window_bytes, window_from = 0, 0, now()
        for block in response.iter_raw():
            total_bytes += len(block)
            window_bytes += len(block)
            if deadline.is_over:
                raise _too_late(answer.where, deadline)
            elapsed_s = now() - window_from
            if elapsed_s >= self.limits.rate_window_s:
                if window_bytes < self.limits.min_rate_bytes_per_s * elapsed_s:
                    msg = (
                        f"{answer.where} sends too slowly: {window_bytes} bytes in "
                        f"{elapsed_s:.1f} s; try again later"
                    )
                    raise SourceUnavailable(msg)
                window_bytes, window_from = 0, now()
            yield block
        answer.refuse_short(total_bytes, answer.length_bytes)

    # --- who we are, where we may go ---

    def _authorization(self, url: httpx.URL, deadline: Deadline) -> dict[str, str]:
        """Say who we are, to our own origin only; other hosts learn nothing."""
        if _origin(url) != _origin(self._base):
            return {}
        match self._credentials:
            case None:
                return {}
            case BasicCredentials() as login:
                return {"Authorization": basic_header(login)}
            case OAuth2ClientCredentials() as login:
                token = self._token
                if token is None or self.clock.monotonic() >= token.renew_at:
                    token = self._token = self._new_token(login, deadline)
                return {"Authorization": f"Bearer {token.value}"}

    def _new_token(self, login: OAuth2ClientCredentials, deadline: Deadline) -> Token:
        """Exchange client id and secret for a token; a redirect is not followed."""
        headers = {
            "Authorization": basic_header(login),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        form = urlencode({"grant_type": "client_credentials"}).encode()
        call = _Call("POST", _configured(login.token_url), headers, form)
        with self._sent(call, deadline) as response:
            answer = _answer(response)
            answer.refuse_failure(self.limits.max_retry_after_s)
            if answer.status == HTTPStatus.BAD_REQUEST:  # RFC 6749, 5.2
                msg = f"{answer.where} refused our client id and secret (400); check them"
                raise SourceRejected(msg)
            body = b"".join(self._body(response, deadline, self.limits.max_reply_bytes))
        return token_of(body, answer.where, self.clock.monotonic())

    def _is_aged_token(self, response: httpx.Response) -> bool:
        return (
            response.status_code == HTTPStatus.UNAUTHORIZED
            and isinstance(self._credentials, OAuth2ClientCredentials)
            and _origin(response.url) == _origin(self._base)
        )

    def _redirect_target(self, call: _Call, response: httpx.Response) -> httpx.URL | None:
        """Where to go next, or None when this is the answer."""
        if response.status_code not in _REDIRECTS:
            return None
        if call.method != "GET" and response.status_code not in _BODY_KEEPING_REDIRECTS:
            msg = (
                f"{_shown(response.url)} has moved ({response.status_code}); put the new "
                "address in the sync profile's settings"
            )
            raise SourceError(msg)
        location = _parsed(response.headers.get("location", ""))
        return self._permitted(response.url.join(location))

    def _permitted(self, url: httpx.URL) -> httpx.URL:
        """The same address when it may be visited.

        Raises:
            SourceError: Another scheme, or a host nobody allowed.
        """
        if _origin(_secure(url))[1:] not in self._allowed:
            msg = (
                f"refused to visit {_shown(url)}: its host is not allowed; if the provider "
                "delivers from there, add it to allowed_hosts of the sync profile"
            )
            raise SourceError(msg)
        return url


def _look(arrived: Arrived, part: PartFile, verify: Verify | None) -> None:
    """Let the caller look; bytes it refuses are not kept for a resume."""
    if verify is None:
        return
    try:
        verify(arrived)
    except SourceError:
        part.discard()
        raise


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, _shown(response.url), dict(response.headers))


# --- addresses: httpx reads them, so that what is checked is what is visited ---


def _parsed(url: str) -> httpx.URL:
    """Read an address; without showing it, for it may hold a secret.

    Raises:
        SourceError: It is none.
    """
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        msg = "the provider or the settings gave an address that cannot be read"
        raise SourceError(msg) from None


def _configured(text: str) -> httpx.URL:
    """Check an address a person wrote.

    Raises:
        ConfigError: It is none, not https, or carries a user, a query or a fragment.
    """
    try:
        url = _secure(_parsed(text))
    except SourceError as exc:
        msg = f"an address of the sync profile cannot be used: {exc}"
        raise ConfigError(msg) from exc
    if url.query or url.fragment:
        msg = f"an address of the sync profile has a query or fragment: {_shown(url)}"
        raise ConfigError(msg)
    return url


def _host_and_port(entry: str) -> tuple[str, int]:
    """Read ``host`` or ``host:port`` of allowed_hosts; no port means 443."""
    try:
        url = httpx.URL(f"https://{entry}")
        is_plain = bool(url.host) and url.raw_path == b"/" and not url.userinfo
    except (httpx.InvalidURL, ValueError):
        is_plain = False
    if not is_plain:
        msg = f"allowed_hosts has {entry!r}; write host or host:port"
        raise ConfigError(msg)
    return _origin(url)[1:]


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port: who gets to see a credential."""
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    return url.scheme, host, url.port or _DEFAULT_PORTS.get(url.scheme, 0)


def _secure(url: httpx.URL) -> httpx.URL:
    """The same address when it is https, or http on this very machine.

    Raises:
        SourceError: Another scheme, no host, or a user in the address.
    """
    if url.userinfo:
        msg = f"{_shown(url)} has a user in its address; use credentials instead"
        raise SourceError(msg)
    is_safe = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url))
    if not url.host or not is_safe:
        msg = f"refused to visit {_shown(url)}: only https is allowed"
        raise SourceError(msg)
    return url


def _is_loopback(url: httpx.URL) -> bool:
    host = _origin(url)[1]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(url: httpx.URL) -> str:
    """An address for a message: no user, no query, long path parts (tokens) left out."""
    scheme, host, port = _origin(url)
    where = host if port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}"
    parts = [part if len(part) < _LONG_PART else "…" for part in url.path.split("/")]
    return safe_text(f"{scheme}://{where}{'/'.join(parts)}")


# --- the wire ---


@contextmanager
def _translated(where: str, deadline: Deadline) -> Iterator[None]:
    """Turn what httpx raises into ours; its own texts are not shown."""
    try:
        yield
    except httpx.TimeoutException as exc:
        if deadline.is_over:
            raise _too_late(where, deadline) from exc
        msg = f"{where} does not answer ({type(exc).__name__}); try again later"
        raise SourceUnavailable(msg) from exc
    except httpx.LocalProtocolError:
        msg = f"the request to {where} cannot be written as HTTP; check the settings"
        raise SourceError(msg) from None  # its text shows the header, thus the secret
    except httpx.ConnectError as exc:
        raise _no_connection(where, exc) from exc
    except (httpx.HTTPError, httpx.StreamError) as exc:
        msg = (
            f"{where} broke off ({type(exc).__name__}): the reply is incomplete; "
            "try again later"
        )
        raise SourceUnavailable(msg) from exc


def _too_late(where: str, deadline: Deadline) -> SourceUnavailable:
    msg = f"{where} did not finish within {deadline.seconds:g} s; try again later"
    return SourceUnavailable(msg)


def _no_connection(where: str, exc: httpx.ConnectError) -> SourceError:
    """Tell a certificate that does not hold (no use to try again) from a host away."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = safe_text(cause.verify_message)
            return SourceRejected(f"{where} has no certificate we trust: {reason}")
        cause = cause.__cause__ or cause.__context__
    return SourceUnavailable(f"{where} cannot be reached; try again later")


def _transport_maker(ca_file: Path | None) -> TransportMaker:
    """Verified TLS for every call."""
    tls = _system_trust() if ca_file is None else _trust_with(ca_file)
    return lambda deadline: _DeadlineTransport(tls, deadline)


@cache
def _system_trust() -> ssl.SSLContext:
    """The system's authorities; reading them takes longer than a call does."""
    return ssl.create_default_context()


def _trust_with(ca_file: Path) -> ssl.SSLContext:
    """The system's authorities, plus one of ours."""
    tls = ssl.create_default_context()
    try:
        tls.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        msg = f"ca_file {ca_file} cannot be read as certificates"
        raise ConfigError(msg) from exc
    return tls


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport, over connections that know when the whole call must end."""

    def __init__(self, tls: ssl.SSLContext, deadline: Deadline) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no parameter for the network backend: its pool is replaced whole.
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_keepalive_connections=0,
            network_backend=DeadlineBackend(deadline),
        )


def _quieten_libraries() -> None:
    """Keep whole addresses, tokens included, out of the logs: httpx writes them at INFO."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
