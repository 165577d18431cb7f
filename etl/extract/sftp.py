"""SFTP: bring the new files of a provider's folder, from a server that proves who it is.

Effects: network and files. This module needs the extra ``sftp`` and is imported when a
feed asks for it. A visit is one connection with one deadline: list the folder twice,
choose, download under names of our own, and look again whether each file stayed as it was
listed. Nothing is changed on the server.

The server's key must stand in the ``known_hosts`` file of the feed; there is no setting
to go on without. Keys, agents and ssh settings of the user who runs this are not used.

Units: seconds (``_s``), sizes whole bytes (``_bytes``).
"""

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from secrets import token_hex
from typing import Final

import asyncssh

from etl.storage import safe_name
from transforms.errors import (
    ConfigError,
    SourceError,
    SourceRejected,
    SourceUnavailable,
    StorageError,
)

CONNECT_S: Final = 30
SECOND_LOOK_S: Final = 1
MOST_FILES: Final = 200
"""Files brought in one visit; the rest waits for the next."""

LOST: Final = (
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    ConnectionResetError,
    BrokenPipeError,
)

_PRIVATE_KEY: Final = "-----BEGIN "

logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells users and paths


@dataclass(frozen=True)
class SftpPlace:
    """Where a provider's files are, and how to log in there."""

    provider: str
    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    """A password, or the text of a private key."""
    folder: str
    known_hosts: Path


@dataclass(frozen=True)
class SftpLimits:
    """A limit on everything that comes from outside."""

    visit_s: int
    """Total time for one visit."""
    file_bytes: int
    """A larger file is not brought."""


@dataclass(frozen=True)
class RemoteFile:
    """A plain file on the server, as it was listed."""

    name: str
    size_bytes: int
    modified_s: int


@dataclass(frozen=True)
class BroughtFile:
    """A file that was downloaded, with its control file when it has one."""

    remote: RemoteFile
    path: Path
    control: Path | None = None


@dataclass
class Visit:
    """What a visit brought, and the names of what it left."""

    brought: list[BroughtFile] = field(default_factory=list)
    growing: list[str] = field(default_factory=list)
    """Still being written, or changed while they were downloaded."""
    without_control: list[str] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SftpFolder:
    """One provider's folder on its server."""

    place: SftpPlace
    limits: SftpLimits
    file_glob: str
    control_suffix: str = ""

    def visit(self, is_new: Callable[[RemoteFile], bool], into: Path) -> Visit:
        """Bring what is new and whole.

        Args:
            is_new: Asked once for each delivery in the folder.
            into: A private folder for the downloads.

        Raises:
            ConfigError: When ``known_hosts``, the private key or the folder is not there.
            SourceRejected: When the server is not the one we know, or refuses the login.
            SourceUnavailable: When it cannot be reached or is too slow; try again later.
            SourceError: When it answers with another fault.
        """
        with _told(self.place, self.limits):
            return asyncio.run(self._visit(is_new, into))

    async def _visit(self, is_new: Callable[[RemoteFile], bool], into: Path) -> Visit:
        async with (
            asyncio.timeout(self.limits.visit_s),
            asyncssh.connect(
                self.place.host,
                self.place.port,
                username=self.place.user,
                known_hosts=str(self.place.known_hosts),
                connect_timeout=CONNECT_S,
                login_timeout=CONNECT_S,
                config=None,
                agent_path=None,
                **_login(self.place),
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            first = await self._listed(client)
            chosen = [file for file in self._deliveries(first) if is_new(file)]
            visit = Visit()
            if chosen:
                await asyncio.sleep(SECOND_LOOK_S)
                second = await self._listed(client)
                for file in chosen[:MOST_FILES]:
                    await self._bring(client, file, (first, second), into, visit)
            return visit

    async def _listed(self, client: asyncssh.SFTPClient) -> dict[str, RemoteFile]:
        """List the plain files; a link, a folder or a hostile name is not one."""
        found = [_plain(entry) for entry in await client.readdir(self.place.folder)]
        return {file.name: file for file in found if file is not None}

    def _deliveries(self, listed: dict[str, RemoteFile]) -> list[RemoteFile]:
        suffix = self.control_suffix
        return [
            file
            for name, file in sorted(listed.items())
            if fnmatchcase(name, self.file_glob)
            and not (suffix and name.endswith(suffix) and name[: -len(suffix)] in listed)
        ]

    async def _bring(
        self,
        client: asyncssh.SFTPClient,
        file: RemoteFile,
        looks: tuple[dict[str, RemoteFile], dict[str, RemoteFile]],
        into: Path,
        visit: Visit,
    ) -> None:
        """Download one delivery, or note why it is left."""
        names = [file.name]
        if self.control_suffix:
            names.append(file.name + self.control_suffix)
        found = [looks[1].get(name) for name in names]
        wanted = [each for each in found if each is not None]
        if found[0] is not None and len(wanted) < len(names):
            visit.without_control.append(file.name)
        elif found != [looks[0].get(name) for name in names]:
            visit.growing.append(file.name)
        elif any(each.size_bytes > self.limits.file_bytes for each in wanted):
            visit.too_large.append(file.name)
        else:
            paths = [into / token_hex(8) for _ in wanted]
            control = paths[1] if self.control_suffix else None
            try:
                for each, path in zip(wanted, paths, strict=True):
                    if not await self._arrived(client, each, path):
                        visit.growing.append(file.name)
                        return
            except asyncssh.SFTPConnectionLost:
                raise
            except asyncssh.SFTPError:
                visit.unreadable.append(file.name)
            else:
                visit.brought.append(BroughtFile(file, paths[0], control))

    async def _arrived(
        self, client: asyncssh.SFTPClient, file: RemoteFile, to: Path
    ) -> bool:
        """Download one file; whether it is all there and stayed as it was listed."""
        remote = f"{self.place.folder}/{file.name}"
        await client.get(remote, str(to))
        after = await client.lstat(remote)
        is_whole = to.stat().st_size == file.size_bytes
        return is_whole and (after.size, after.mtime) == (file.size_bytes, file.modified_s)


def _plain(entry: asyncssh.SFTPName) -> RemoteFile | None:
    name = entry.filename
    if isinstance(name, bytes):
        name = name.decode("utf-8", errors="replace")
    mode, size_bytes = entry.attrs.permissions, entry.attrs.size
    is_file = entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR or (
        mode is not None and stat.S_ISREG(mode)
    )
    if not is_file or size_bytes is None or "/" in name or name.startswith("."):
        return None
    return RemoteFile(name, size_bytes, entry.attrs.mtime or 0)


def _login(place: SftpPlace) -> dict[str, object]:
    """A private key is used as one; anything else is a password."""
    if not place.secret.startswith(_PRIVATE_KEY):
        return {"password": place.secret, "client_keys": None}
    try:
        key = asyncssh.import_private_key(place.secret)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as exc:
        message = (
            f"sync profile {place.provider}: settings.secret is no private key that can be "
            "used; give an unencrypted one in OpenSSH or PEM form"
        )
        raise ConfigError(message) from exc
    return {"client_keys": [key], "password": None}


@contextmanager
def _told(place: SftpPlace, limits: SftpLimits) -> Iterator[None]:
    """Turn the library's errors into ours, without what the server said word for word."""
    where = f"sync profile {place.provider}: sftp://{place.host}:{place.port}"
    if not place.known_hosts.is_file():
        message = (
            f"sync profile {place.provider}: settings.known_hosts = "
            f"{str(place.known_hosts)!r} is not a file; put the server's key in it, "
            "as the provider gave it to you"
        )
        raise ConfigError(message)
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as exc:
        message = (
            f"{where}: the server's key is not the one in {place.known_hosts}; nothing was "
            "sent. Ask the provider whether the key changed before you change the file"
        )
        raise SourceRejected(message) from exc
    except asyncssh.PermissionDenied as exc:
        message = (
            f"{where}: the login of the feed's user was refused; check client_id and secret"
        )
        raise SourceRejected(message) from exc
    except asyncssh.SFTPNoSuchFile as exc:
        message = (
            f"{where}: there is no folder {safe_name(place.folder)}; check settings.url"
        )
        raise ConfigError(message) from exc
    except asyncssh.SFTPPermissionDenied as exc:
        message = f"{where}: {safe_name(place.folder)} may not be read by the feed's user"
        raise SourceRejected(message) from exc
    except TimeoutError as exc:
        message = f"{where}: no answer in time ({limits.visit_s} s for a whole visit)"
        raise SourceUnavailable(message) from exc
    except LOST as exc:
        message = f"{where}: the connection broke ({type(exc).__name__})"
        raise SourceUnavailable(message) from exc
    except (asyncssh.Error, asyncssh.SFTPError) as exc:
        message = f"{where}: {type(exc).__name__}: {safe_name(exc.reason)}"
        raise SourceError(message) from exc
    except OSError as exc:
        if exc.filename is not None:  # of ours, on this disk
            path = os.fsdecode(exc.filename)
            message = f"{where}: cannot write {path}: {exc.strerror}"
            raise StorageError(message) from exc
        message = f"{where}: cannot be reached ({exc.strerror or type(exc).__name__})"
        raise SourceUnavailable(message) from exc
