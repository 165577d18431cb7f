"""Deadlines: the moment a whole call must be over, down to each read of a socket.

Effects: the monotonic clock, sockets. An HTTP library's timeout is for each read, so a
server that sends one byte a second never trips it; connections opened by
``DeadlineBackend`` give each read, write and handshake at most what is left of the call.

Units: seconds (`_s`).
"""

import random
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpcore


@dataclass(frozen=True)
class Clock:
    """Time and chance as the extract rooms see them; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    """A number in [0, 1)."""


class Deadline:
    """The moment a whole call must be over."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Start counting now."""
        self._clock = clock
        self.seconds = seconds
        self._ends = clock.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left; zero or less when the call must stop."""
        return self._ends - self._clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the call must stop."""
        return self.remaining_s <= 0


class DeadlineBackend(httpcore.SyncBackend):
    """Opens connections that know when the whole call must end.

    Looking up the host's name is the system's own affair and is not cut short.
    """

    def __init__(self, deadline: Deadline) -> None:
        """Serve one call."""
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect within what is left."""
        seconds = _capped(timeout, self._deadline, httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, seconds, local_address, socket_options)
        return _DeadlineStream(stream, self._deadline)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        seconds = _capped(timeout, self._deadline, httpcore.ReadTimeout)
        return self._stream.read(max_bytes, seconds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        seconds = _capped(timeout, self._deadline, httpcore.WriteTimeout)
        self._stream.write(buffer, seconds)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _capped(timeout, self._deadline, httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds)
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _capped(
    timeout: float | None, deadline: Deadline, late: type[httpcore.TimeoutException]
) -> float:
    """The shorter of a step's own time and what is left of the whole call."""
    remaining_s = deadline.remaining_s
    if remaining_s <= 0:
        raise late
    return remaining_s if timeout is None else min(timeout, remaining_s)
