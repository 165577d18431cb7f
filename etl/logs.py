"""Logs: one line per event on stderr; one JSON line each when stderr is no terminal.

Effects: configures the standard library's logging, whose loggers all our modules use; what
an event is about goes in ``extra``, and run and job ids in ``about``. Every text is
escaped, so that neither a delivery nor a service can forge a line or steer a terminal.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)

ROOMS = ("etl", "loaders")
"""Whose events ``-v`` shows; those of libraries are shown from ``-vvv`` on."""

WRITE_WHOLE_ADDRESSES = ("httpx", "httpcore")
"""Libraries that log addresses with their tokens; they never get to say more."""

_ABOUT: ContextVar[dict[str, str | int]] = ContextVar("about")


@contextmanager
def about(**ids: str | int) -> Iterator[None]:
    """Let every event within say which run and job it is of.

    The log library has this too, but takes a tenth of a second to load; most jobs log
    nothing that is shown.
    """
    before = _ABOUT.set({**_ABOUT.get({}), **ids})
    try:
        yield
    finally:
        _ABOUT.reset(before)


def set_up_logs(verbose: int) -> None:
    """Choose the level by the number of ``-v`` and the form by the terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(is_terminal=sys.stderr.isatty()))
    is_everything = verbose > len(LEVELS) - 1
    root_level = logging.DEBUG if is_everything else logging.WARNING
    logging.basicConfig(level=root_level, handlers=[handler], force=True)
    for room in ROOMS:
        logging.getLogger(room).setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    for library in WRITE_WHOLE_ADDRESSES:
        logging.getLogger(library).setLevel(logging.WARNING)


class _Formatter(logging.Formatter):
    """The formatter, made for the first event: most commands are quick and log none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    @cached_property
    def _made(self) -> logging.Formatter:
        return formatter(is_terminal=self._is_terminal)

    def format(self, record: logging.LogRecord) -> str:
        return self._made.format(record)


def formatter(*, is_terminal: bool) -> logging.Formatter:
    """Make what writes one event: coloured for a terminal, else a line of JSON."""
    import structlog

    form: Processor = (
        structlog.dev.ConsoleRenderer()
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _with_ids,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _escaped,
            form,
        ],
    )


def _with_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_ABOUT.get({}), **event}


def _escaped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what does not print; only the lines of a traceback stay lines."""
    return {
        name: "\n".join(map(_printable, str(value).split("\n")))
        if name == "exception"
        else _printable(value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _printable(text: str) -> str:
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
