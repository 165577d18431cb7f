"""Logs: one line an event, and nothing in a delivery or an answer can forge one."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from etl.logs import about, formatter

FORGERIES = [
    *(
        "\n",
        "\r",
        "\r\n",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x1d",
        "\x1e",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\x00", "\x07", "\x08", "\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\x7f", "\u202e"),
    *("{event}", "%s", "%(message)s", "${jndi:ldap://x}", '"}\n{"event":"paid"}', "\\n"),
]


@pytest.fixture(params=[False, True], ids=["json", "terminal"])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, StringIO]]:
    """A logger of its own, and what it wrote."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter(is_terminal=bool(request.param)))
    logger = logging.Logger("of this test", logging.INFO)
    logger.addHandler(handler)
    yield logger, written
    handler.close()


@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
def test_a_name_from_a_delivery_cannot_forge_a_line(
    log: tuple[logging.Logger, StringIO], forgery: str
) -> None:
    logger, written = log
    logger.warning("file %s is refused", f"a{forgery}b", extra={"reason": f"c{forgery}d"})

    line = written.getvalue()

    assert line.splitlines() == [line.removesuffix("\n")]
    shown = [sign for sign in line.removesuffix("\n") if not sign.isprintable()]
    assert set(shown) <= {"\x1b"}  # only the terminal's own colours
    assert not {"\x1b[2J", "\x1b]0"} & {line[at : at + 4] for at in range(len(line))}
    assert "\x1b]" not in line


def test_a_line_says_when_how_grave_and_for_which_run() -> None:
    record = logging.makeLogRecord(
        {"msg": "job ended", "levelname": "INFO", "seconds": 0.25, "status": "done"}
    )
    with about(run_id="ab12", job_id=7):
        told = json.loads(formatter(is_terminal=False).format(record))

    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "job ended",
        "level": "info",
        "run_id": "ab12",
        "job_id": 7,
        "seconds": 0.25,
        "status": "done",
    }


def test_a_traceback_keeps_its_lines_on_a_terminal_but_not_the_signs_in_its_error() -> None:
    error = ValueError("\x1b[2J" + "wiped")
    record = logging.makeLogRecord(
        {"msg": "failed", "levelname": "ERROR", "exc_info": (ValueError, error, None)}
    )

    told = formatter(is_terminal=True).format(record)

    assert "\\x1b[2Jwiped" in told
    assert len(told.splitlines()) == 2
