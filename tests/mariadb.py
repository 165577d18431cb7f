"""A MariaDB server of the tests' own: private folder, socket and loopback port.

Effects: starts and ends one server process; everything it writes is in one folder, on a
memory file system when there is one.

Also used by the benchmarks and by longer fault runs, which kill and restart it.
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from mysql.connector.connection_cext import CMySQLConnection
from sqlalchemy.engine import make_url

START_S: Final = 60
STOP_S: Final = 60
MEMORY_FOLDER: Final = Path("/dev/shm")
MEMORY_NEEDED_BYTES: Final = 2 * 1024**3
PLACES: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
USER: Final = "etl"


class MariaDBMissingError(Exception):
    """The server's programs are not on this machine."""


def program(name: str) -> str:
    """Return the path of one of MariaDB's programs.

    Raises:
        MariaDBMissingError: When it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if found is None:
        message = f"{name} is not on this machine; `make test` installs MariaDB's server"
        raise MariaDBMissingError(message)
    return found


def work_folder() -> Path:
    """Make a private folder, in memory when that has room for a test server."""
    parent = None
    if MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK):
        free = shutil.disk_usage(MEMORY_FOLDER).free
        parent = MEMORY_FOLDER if free > MEMORY_NEEDED_BYTES else None
    return Path(tempfile.mkdtemp(prefix="cdr-etl-mariadb-", dir=parent))


class MariaDBServer:
    """One private server.

    Attributes:
        folder: Where its data, socket and log are.
        port: Its port on 127.0.0.1.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        """Plan a server in ``folder`` (made when missing); ``start`` starts it.

        Args:
            folder: An empty or missing folder, or one that a server of ours used.
            options: Further options, such as ``--local-infile=0``; the last one wins.
        """
        self.folder = folder
        self.port = _free_port()
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._secret = secrets.token_hex(12)

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.folder / "s"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            message = "the server is not running"
            raise RuntimeError(message)
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            MariaDBMissingError: When its programs are not installed.
            RuntimeError: When it does not answer; the message holds the log's end.
        """
        if not (self.folder / "data").exists():
            self._install()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-2000:]
                self.kill()
                message = f"MariaDB did not start in {self.folder}:\n{said}"
                raise RuntimeError(message)
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        """The URL of database ``name`` by the server's socket."""
        account = f"{USER}:{self._secret}@localhost"
        return f"mysql+mysqlconnector://{account}/{name}?unix_socket={self.socket}"

    def tcp_url(self, name: str) -> str:
        """The URL of database ``name`` by the server's loopback port."""
        account = f"{USER}:{self._secret}@127.0.0.1:{self.port}"
        return f"mysql+mysqlconnector://{account}/{name}"

    def _install(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        accounts = self.folder / "accounts.sql"
        accounts.touch(mode=0o600)
        accounts.write_text(
            "".join(
                f"CREATE USER IF NOT EXISTS {USER}@'{host}'"
                f" IDENTIFIED BY '{self._secret}';\n"
                f"GRANT ALL ON *.* TO {USER}@'{host}' WITH GRANT OPTION;\n"
                for host in ("localhost", "127.0.0.1")
            )
        )
        made = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
                "--skip-name-resolve",
                *_as_user(),
            ],
            capture_output=True,
            check=False,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PLACES}"},
        )
        if made.returncode != 0:
            said = (made.stdout + made.stderr).decode(errors="replace")[-2000:]
            message = f"mariadb-install-db failed:\n{said}"
            raise RuntimeError(message)

    def _command(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",
            *_as_user(),
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'accounts.sql'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--local-infile=1",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=256M",
            "--innodb-log-file-size=256M",
            "--innodb-fast-shutdown=2",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_bin",
            "--skip-log-bin",
            *self._options,
        ]

    def _answers(self) -> bool:
        """A server greets whoever connects; it has read its init file by then."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(self.socket))
                return bool(client.recv(1))
        except OSError:
            return False


@contextmanager
def fresh_database(server: MariaDBServer) -> Iterator[str]:
    """Make an empty database for as long as it is needed; yields its URL."""
    name = f"etl_{secrets.token_hex(6)}"
    execute_all(server.url(""), [f"CREATE DATABASE {name}"])
    try:
        yield server.url(name)
    finally:
        execute_all(server.url(""), [f"DROP DATABASE {name}"])


def execute_all(url: str, statements: Sequence[str]) -> None:
    """Run statements, one after the other, each committed."""
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)


def schema_statements(url: str) -> list[str]:
    """The statements that make the tables of a database once more, elsewhere."""
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SHOW TABLES")
        names = [str(row[0]) for row in cursor.fetchall()]
        statements = []
        for name in names:
            cursor.execute(f"SHOW CREATE TABLE `{name}`")
            statements += [str(row[1]) for row in cursor.fetchall()]
        cursor.execute("SELECT version_num FROM alembic_version")
        return statements + [
            f"INSERT INTO alembic_version (version_num) VALUES ('{row[0]}')"  # noqa: S608 - our own revisions
            for row in cursor.fetchall()
        ]


def connect(url: str) -> CMySQLConnection:
    """Open a plain connection of the driver's, outside the code under test."""
    parsed = make_url(url)
    place = (
        {"unix_socket": parsed.query["unix_socket"]}
        if "unix_socket" in parsed.query
        else {"host": parsed.host, "port": parsed.port}
    )
    return CMySQLConnection(
        user=parsed.username,
        password=parsed.password,
        database=parsed.database or None,
        autocommit=True,
        charset="utf8mb4",
        collation="utf8mb4_bin",
        **place,
    )


def _as_user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
