"""Logs: one line per event on stderr, one JSON line when stderr is not a terminal.

Effects: configures structlog and the standard library's logging. Run and job ids are
bound by the bus. Field values are escaped, so that a delivery cannot forge a log line.
"""

import logging
import sys

import structlog

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, logging.NOTSET)


def set_up_logs(verbose: int) -> None:
    """Choose the level by the number of ``-v`` and the form by the terminal."""
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    is_terminal = sys.stderr.isatty()
    form: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer()
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            form,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.INFO), stream=sys.stderr, force=True)
    for chatty in ("httpx", "httpcore", "alembic", "sqlalchemy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
