"""Feeds: from a sync profile's settings to a client that can ask the provider.

Effects: reads credentials from where the settings point (``env:NAME`` or ``file:/path``),
at the moment they are needed. Values never enter a message.
"""

import os
from pathlib import Path

from etl.extract.credentials import BasicCredentials, Credentials, OAuth2ClientCredentials
from etl.extract.https import HttpLimits, HttpsSource
from etl.extract.routit import RoutitClient
from etl.settings import Limits
from transforms.errors import ConfigError
from transforms.profile import Profile
from transforms.reference import SyncProfile


def routit_client(feed: SyncProfile, profile: Profile, limits: Limits) -> RoutitClient:
    """Make the client of a RoutIT feed.

    Raises:
        ConfigError: When the feed has no https transport, the profile no ``[source.poll]``,
            or a credential reference leads nowhere.
    """
    if feed.settings.transport != "https":
        message = (
            f"sync profile {feed.provider}: settings.transport is "
            f"{feed.settings.transport!r}, but asking for deliveries needs 'https'"
        )
        raise ConfigError(message)
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
        return BasicCredentials(settings.client_id, secret)
    return OAuth2ClientCredentials(settings.token_url, settings.client_id, secret)


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
