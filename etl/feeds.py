"""Feeds: from a sync profile's settings to a client that can ask the provider.

Effects: reads credentials from where the settings point (``env:NAME`` or ``file:/path``),
at the moment they are needed. Values never enter a message. What speaks HTTP or SSH is
imported when a feed needs it: most commands ask no provider.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from etl.extract.credentials import BasicCredentials, Credentials, OAuth2ClientCredentials
from etl.extract.folder import DropFolder
from etl.settings import Limits
from transforms.errors import ConfigError
from transforms.profile import Profile
from transforms.reference import SyncProfile

if TYPE_CHECKING:
    from etl.extract.routit import RoutitClient
    from etl.extract.sftp import SftpFolder

SSH_PORT = 22


def drop_folder(feed: SyncProfile, profile: Profile) -> DropFolder:
    """Make the drop folder of a feed.

    Raises:
        ConfigError: When the feed has another transport.
    """
    _require_transport(feed, "folder")
    folder = Path(feed.settings.folder)
    return DropFolder(
        feed.provider, folder, profile.source.file_glob, control_suffix(profile)
    )


def sftp_folder(feed: SyncProfile, profile: Profile, limits: Limits) -> "SftpFolder":
    """Make the SFTP folder of a feed.

    Raises:
        ConfigError: When the feed has another transport, the extra is not installed, or
            a setting that a login needs is missing.
    """
    _require_transport(feed, "sftp")
    try:
        from etl.extract import sftp
    except ImportError as exc:
        message = (
            f"sync profile {feed.provider}: transport sftp needs an extra; run: "
            "pip install 'cdr-etl[sftp]'"
        )
        raise ConfigError(message) from exc
    settings = feed.settings
    url = urlsplit(settings.url)
    user = unquote(url.username or "") or _client_id(feed)
    needed = {
        "client_id": user,
        "secret": settings.secret,
        "known_hosts": settings.known_hosts,
    }
    if missing := [f"settings.{key}" for key, value in needed.items() if not value]:
        message = f"sync profile {feed.provider}: {', '.join(missing)} missing for sftp"
        raise ConfigError(message)
    place = sftp.SftpPlace(
        provider=feed.provider,
        host=url.hostname or "",
        port=url.port or SSH_PORT,
        user=user,
        secret=_secret(feed.provider, "secret", settings.secret),
        folder=unquote(url.path).rstrip("/") or "/",
        known_hosts=Path(settings.known_hosts),
    )
    return sftp.SftpFolder(
        place,
        sftp.SftpLimits(limits.download_seconds, limits.download_mb * 1_000_000),
        profile.source.file_glob,
        control_suffix(profile),
    )


def control_suffix(profile: Profile) -> str:
    """What the name of a delivery's control file ends in; empty when it brings none."""
    if profile.source.kind == "zip":
        return ""  # control files are inside
    suffixes = (
        layout.control.suffix
        for layout in profile.layouts
        if layout.control.kind == "sidecar"
    )
    return next(suffixes, "")


def _require_transport(feed: SyncProfile, needed: str) -> None:
    transport = feed.settings.transport
    if transport != needed:
        message = (
            f"sync profile {feed.provider}: settings.transport is {transport!r}, but this "
            f"step needs {needed!r}"
        )
        raise ConfigError(message)


def routit_client(feed: SyncProfile, profile: Profile, limits: Limits) -> "RoutitClient":
    """Make the client of a RoutIT feed.

    Raises:
        ConfigError: When the feed has no https transport, the profile no ``[source.poll]``,
            or a credential reference leads nowhere.
    """
    from etl.extract.https import HttpLimits, HttpsSource
    from etl.extract.routit import RoutitClient

    _require_transport(feed, "https")
    if profile.source.poll is None:
        message = f"profile {profile.id}: [source.poll] is missing; it says how to ask"
        raise ConfigError(message)
    source = HttpsSource(
        feed.settings.url,
        credentials=_credentials(feed),
        allowed_hosts=feed.settings.allowed_hosts,
        limits=HttpLimits(
            download_deadline_s=limits.download_seconds,
            min_rate_bytes_per_s=limits.minimum_bytes_per_s,
            max_download_bytes=limits.download_mb * 1_000_000,
        ),
    )
    return RoutitClient(source, profile.source.poll)


def _credentials(feed: SyncProfile) -> Credentials:
    settings = feed.settings
    secret = _secret(feed.provider, "secret", settings.secret)
    if settings.auth == "basic":
        return BasicCredentials(_client_id(feed), secret)
    return OAuth2ClientCredentials(settings.token_url, _client_id(feed), secret)


def _client_id(feed: SyncProfile) -> str:
    """The user's name: as it stands in the settings, or where they point."""
    name = feed.settings.client_id
    if name.startswith(("env:", "file:")):
        return _secret(feed.provider, "client_id", name)
    return name


def _secret(provider: str, key: str, reference: str) -> str:
    kind, _, place = reference.partition(":")
    where = f"sync profile {provider}: settings.{key} = {reference!r}"
    if kind == "env":
        value = os.environ.get(place, "")
    elif kind == "file":
        try:
            value = Path(place).read_text(encoding="utf-8").strip()
        except OSError as exc:
            message = f"{where}: the file cannot be read ({exc.strerror})"
            raise ConfigError(message) from exc
    else:
        message = f"{where}: a credential is a reference, env:NAME or file:/path"
        raise ConfigError(message)
    if not value:
        message = f"{where}: nothing is there; set it before asking the provider"
        raise ConfigError(message)
    return value
