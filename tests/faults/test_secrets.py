"""Canary passwords: whatever goes well or wrong, no output, table or file holds one."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from etl.profiles import load_profile
from etl.simulator import RoutitSimulator
from tests.faults.conftest import Run
from tests.faults.forks import leaks
from tests.flow.import_world import ANNA, BERT, ask, call, mixed_calls, write_routit
from tests.flow.sync_world import EXAMPLES, ROUTIT_FILE
from tests.forked import ROOT
from tests.mariadb import MariaDBServer, execute_all, work_folder

PASSWORD = "cAnAry-7f31@db:/%?&x"
WRONG = "cAnAry-9e02-wrong#db"
FEED = "cAnAry-51c8/feed=="
TOKEN = "cAnAry-b4d7-token"
CANARIES = (PASSWORD, WRONG, FEED, TOKEN)
ENCODED = tuple(
    base64.b64encode(f"{user}:{secret}".encode()).decode()
    for user in ("canary", "demo")
    for secret in CANARIES
)
"""As a Basic login would carry them."""

ACCOUNT = "canary"
FEED_NAME = "ETL_CANARY_FEED"
ANSWERS = {0, 1, 2, 3, 4, 75}
"""Exit codes of a command that says what is wrong; -9 where it was killed."""


@dataclass
class Scene:
    """A server, a folder whose every file is evidence, and inputs that hold secrets."""

    server: MariaDBServer
    evidence: Path
    inputs: Path
    codes: dict[str, int] = field(default_factory=dict)

    def url(self, secret: str = PASSWORD, name: str = "canary", port: int = 0) -> str:
        """The URL of the database, with a secret in it."""
        place = f"127.0.0.1:{port or self.server.port}/{name}"
        return f"mysql+mysqlconnector://{ACCOUNT}:{quote(secret, safe='')}@{place}"

    def etl(self, *words: str, url: str = "", faults: str = "", **more: str) -> int:
        """Give a command as verbosely as can be; keep what it said."""
        process = self.begin(*words, url=url, faults=faults, **more)
        code = process.wait(timeout=120)
        self.codes[f"{len(self.codes) + 1} {words[0]}"] = code
        return code

    def begin(
        self, *words: str, url: str = "", faults: str = "", **more: str
    ) -> "subprocess.Popen[bytes]":
        """Give a command and go on at once."""
        number = len(list(self.evidence.glob("*.out"))) + 1
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FAULTS": faults,
            "ETL_DATABASE_URL": url or self.url(),
            "ETL_STORAGE": str(self.evidence / "storage"),
            "ETL_LEASE_SECONDS": "1",
            FEED_NAME: FEED,
            **more,
        }
        name = f"{number:02}-{words[0].replace(':', '-')}"
        with (
            (self.evidence / f"{name}.out").open("wb") as out,
            (self.evidence / f"{name}.err").open("wb") as err,
        ):
            return subprocess.Popen(
                [sys.executable, "-m", "etl", *words, "-vvv"],
                cwd=self.evidence,
                env=environment,
                stdout=out,
                stderr=err,
            )

    def dump(self) -> None:
        """Put every column of every table into evidence."""
        url = self.server.url("canary")
        for (table,) in ask(url, "SHOW TABLES"):
            rows = ask(url, f"SELECT * FROM `{table}`")  # noqa: S608 - the server's own names
            lines = [json.dumps([str(value) for value in row]) for row in rows]
            (self.evidence / f"{table}.jsonl").write_text("\n".join(lines))

    def leaks(self) -> list[str]:
        """Which evidence holds a canary, in any form."""
        return leaks(self.evidence, *CANARIES, *ENCODED)


@pytest.fixture
def scene(mariadb_server: MariaDBServer, tmp_path: Path) -> Iterator[Scene]:
    """A server of its own, because it is killed, with an account that has a canary."""
    server = MariaDBServer(work_folder())
    server.start()
    made = Scene(server, tmp_path / "evidence", tmp_path / "inputs")
    made.evidence.mkdir()
    made.inputs.mkdir()
    execute_all(
        server.url(""),
        [
            "CREATE DATABASE canary",
            f"CREATE USER {ACCOUNT}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON canary.* TO {ACCOUNT}@'127.0.0.1'",
        ],
    )
    yield made
    server.remove()


def reference(folder: Path, feed: str) -> str:
    """Write reference data with one feed, and say where."""
    folder.mkdir()
    customers = "customer_id,name,timezone,cycle_day,currency\n1,Anna,,,\n2,Bert,,,\n"
    numbers = "identifier,kind,customer_id,valid_from,valid_to\n"
    numbers += f"+{ANNA},number,1,,\n+{BERT},number,2,,\n"
    (folder / "customers.csv").write_text(customers)
    (folder / "subscriptions.csv").write_text(numbers)
    (folder / "sync_profiles.toml").write_text(feed)
    return str(folder)


def feed(url: str, secret: str, token_url: str = "") -> str:
    """Write a feed of RoutIT's."""
    login = (
        f'auth = "oauth2"\ntoken_url = "{token_url}"\nclient_id = "demo"\n'
        if token_url
        else 'auth = "basic"\nusername = "demo"\n'
    )
    return (
        '[[sync_profile]]\nprovider = "routit"\n[sync_profile.settings]\n'
        f'transport = "https"\nurl = "{url}"\naccount = "10001"\n{login}'
        f'secret = "{secret}"\n'
    )


def ordinary_life(scene: Scene) -> None:
    """The demo, and every command that looks at what it left."""
    assert scene.etl("demo") == 0
    for words in (
        ("doctor", "--json"),
        ("health",),
        ("monitor", "--json"),
        ("queue:list", "--all", "--json"),
        ("import:list",),
        ("rejects:list",),
        ("audit", "--json"),
        ("nightly", "--as-of", "2026-11-03", "--patience", "0"),
    ):
        scene.etl(*words)


def wrong_databases(scene: Scene) -> None:
    """URLs that lead nowhere, or are none."""
    secret = quote(WRONG, safe="")
    for url in (
        scene.url(WRONG),
        scene.url(name="nowhere"),
        scene.url(port=1),
        f"mysql+mysqlconnector://{ACCOUNT}:{secret}@no-such-host.invalid/canary",
        f"mysql+mysqlconnector://{ACCOUNT}:{secret}@127.0.0.1:no-port/canary",
        f"{scene.url()}?no_such_option={secret}",
        f"{scene.url()}?ssl_ca=/no/such/{TOKEN}.pem",
        f"postgresql://{ACCOUNT}:{secret}@127.0.0.1/canary",
        f"sqlite://{ACCOUNT}:{secret}@host/file.db",
        f"{ACCOUNT}:{secret}@[",
    ):
        scene.etl("audit", url=url)
        scene.etl("doctor", "--json", url=url)
    settings = scene.inputs / "settings"
    settings.mkdir()
    scene.etl("audit", ETL_LIMITS__DOWNLOAD_MB=WRONG)
    scene.etl("audit", ETL_LEASE_SECONDS=TOKEN)


def wrong_feeds(scene: Scene) -> None:
    """Feeds whose credentials are wrong, misplaced or refused."""
    poll = load_profile("routit").source.poll
    assert poll is not None
    request = ("routit:request", "--account=10001", "--period=202610", "--again")
    by_name = f"env:{FEED_NAME}"
    with RoutitSimulator(
        {("10001", "202610"): EXAMPLES / ROUTIT_FILE},
        messages=poll.messages,
        pending_replies=0,
        secret="another secret",
    ) as routit:
        token_url = f"{routit.base_url}/token"
        for number, text in enumerate(
            (
                feed(routit.base_url, by_name, token_url),
                feed(routit.base_url, by_name),
                feed("http://127.0.0.1:1/cdr", by_name),
                feed(f"http://demo:{TOKEN}@127.0.0.1:1/cdr", by_name),
                feed(f"{routit.base_url}/cdr?token={TOKEN}", by_name, token_url),
                feed(routit.base_url, TOKEN, token_url),
                feed(routit.base_url, f"env:{TOKEN}", token_url),
                feed(routit.base_url, f"file:/no/such/{TOKEN}", token_url),
                feed(routit.base_url, by_name, token_url).replace("secret =", "sekret ="),
            )
        ):
            place = reference(scene.inputs / f"feed-{number}", text)
            if scene.etl("reference:load", place) == 0:
                assert scene.etl(*request) in ANSWERS
                scene.etl("sync:manager", "--run", "--as-of", f"2027-01-0{number + 1}")


def broken_work(scene: Scene) -> None:
    """Faults of ours with their tracebacks, kills, and a server that goes away."""
    delivery = str(write_routit(scene.inputs, mixed_calls()))
    more = str(write_routit(scene.inputs, [call("later")], "CDR_10001_202502.zip"))
    for faults in (
        "import_before_load:raise",
        "import_after_load:enospc",
        "import_in_finish:raise",
        "storage_before_rename:eio",
        "import_after_load:kill",
    ):
        scene.etl("import", delivery, "--provider", "routit", faults=faults)
    for faults in ("before_send:raise", "in_complete:raise", "after_claim:kill"):
        scene.etl("totals:dispatch", faults=faults)
    process = scene.begin(
        *("import", more, "--provider", "routit"), faults="import_before_load:sleep=3"
    )
    time.sleep(2.5)
    scene.server.kill()
    assert process.wait(timeout=120) in ANSWERS
    scene.etl("import", more, "--provider", "routit")
    scene.etl("worker", "--drain")
    scene.server.start()


def test_no_secret_is_ever_shown_stored_or_written(scene: Scene, run: Run) -> None:
    (scene.evidence / "planted.txt").write_text(f"x {scene.url()} y")
    assert scene.leaks() == ["planted.txt"]  # the scan sees what it looks for
    (scene.evidence / "planted.txt").unlink()

    ordinary_life(scene)
    wrong_databases(scene)
    wrong_feeds(scene)
    broken_work(scene)
    scene.dump()

    faults = {
        name: code for name, code in scene.codes.items() if code not in {*ANSWERS, -9}
    }
    assert faults == {}
    assert -signal.SIGKILL in scene.codes.values()
    said = "".join(path.read_text() for path in scene.evidence.glob("*.err"))
    assert re.search(r"Traceback|fault of ours", said)
    assert scene.leaks() == []
    files = sum(path.is_file() for path in scene.evidence.rglob("*"))
    run.tell(commands=len(scene.codes), files_searched=files, secrets_seen=0)
