"""A real SSH server on loopback, for the SFTP tests: one folder, one user, one key.

Effects: one listening socket on 127.0.0.1 and one thread, gone when the ``with`` ends.
"""

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "cdr"
SECRET = "canary-91be/sftp"


class SftpService:
    """An SFTP server that offers one folder as its root."""

    def __init__(self, root: Path, secret: str = SECRET) -> None:
        """Prepare; the socket opens at ``with``."""
        self.root = root
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.logins: list[str] = []
        """How each login was tried: ``password``, ``publickey``."""
        self.on_read: Callable[[Path], None] = _nothing
        """Called when a file is opened."""
        self.port = 0
        self._secret = secret
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._thread.start()
        self._acceptor = asyncio.run_coroutine_threadsafe(
            self._listen(), self._loop
        ).result(10)
        self.port = self._acceptor.get_port()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Where the files are."""
        return f"sftp://127.0.0.1:{self.port}/out"

    def known_hosts(self, path: Path, key: asyncssh.SSHKey | None = None) -> Path:
        """Write a known_hosts file with the server's key, or another one."""
        public = (key or self.host_key).export_public_key().decode()
        path.write_text(f"[127.0.0.1]:{self.port} {public}")
        return path

    async def _listen(self) -> asyncssh.SSHAcceptor:
        service = self

        class Login(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                service.logins.append("password")
                return (username, password) == (USER, service._secret)

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                service.logins.append("publickey")
                ours = service.client_key.export_public_key()
                return username == USER and key.export_public_key() == ours

        class Files(asyncssh.SFTPServer):
            def __init__(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
                super().__init__(chan, chroot=str(service.root).encode())

            def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
                service.on_read(Path(self.map_path(path).decode()))
                return super().open(path, pflags, attrs)

        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self.host_key],
            server_factory=Login,
            sftp_factory=Files,
        )

    async def _close(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)


def _nothing(_path: Path) -> None:
    """Nothing happens."""
