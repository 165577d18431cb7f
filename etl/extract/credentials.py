"""Credentials: who we are to a provider's service. Pure; no value ever shows a secret.

Units: seconds (`_s`).
"""

import base64
import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from transforms.errors import ConfigError, SourceError

_TOKEN = re.compile(r"[\x21-\x7e]+")
_TOKEN_LIFE_S = 300
_TOKEN_LEEWAY_S = 30


@dataclass(frozen=True)
class BasicCredentials:
    """A user and a password, sent with each request to the service's own origin."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class OAuth2ClientCredentials:
    """A client id and secret, exchanged for a token that is kept until it expires."""

    token_url: str
    client_id: str
    secret: str = field(repr=False)


Credentials = BasicCredentials | OAuth2ClientCredentials


@dataclass(frozen=True)
class Token:
    """A bearer token, and the monotonic second after which it is renewed."""

    value: str = field(repr=False)
    renew_at: float


def basic_header(credentials: Credentials) -> str:
    """The Authorization header; a client's id and secret are form-encoded first.

    ``BasicCredentials("a", "b")`` -> ``"Basic YTpi"``.

    Source:
        RFC 7617, and RFC 6749 section 2.3.1 for a client.
    """
    return f"Basic {base64.b64encode(_pair(credentials).encode()).decode('ascii')}"


def secrets_of(credentials: Credentials | None) -> tuple[str, ...]:
    """Every text that must never be read by a person, in each form it travels."""
    match credentials:
        case BasicCredentials(_, password):
            return password, basic_header(credentials).removeprefix("Basic ")
        case OAuth2ClientCredentials(_, _, secret):
            header = basic_header(credentials).removeprefix("Basic ")
            return secret, quote_plus(secret), header
        case None:
            return ()


def checked(credentials: Credentials | None) -> Credentials | None:
    """The same credentials, unless a secret file came with a stray line end.

    Raises:
        ConfigError: A credential is empty or holds control characters; not shown.
    """
    if not all(text and text.isprintable() for text in secrets_of(credentials)):
        msg = "a credential is empty or has control characters in it; look at its file"
        raise ConfigError(msg)
    return credentials


def token_of(body: bytes, where: str, now: float) -> Token:
    """Read a token reply; a token without a lifetime is kept for five minutes.

    Args:
        body: JSON as ``{"access_token": "…", "expires_in": 3600}``.
        where: The token address, fit to be shown.
        now: The monotonic second of the reply.

    Raises:
        SourceError: It holds no token that fits a header.

    Source:
        RFC 6749 section 5.1.
    """
    try:
        found = json.loads(body)
        value, life_s = found["access_token"], found.get("expires_in", _TOKEN_LIFE_S)
        if _TOKEN.fullmatch(value) is not None:
            return Token(value, now + float(life_s) - _TOKEN_LEEWAY_S)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # told below, without the reply: it may hold a secret
    msg = f"{where} answered, but not with a token we can read"
    raise SourceError(msg)


def _pair(credentials: Credentials) -> str:
    match credentials:
        case BasicCredentials(username, password):
            return f"{username}:{password}"
        case OAuth2ClientCredentials(_, client_id, secret):
            return f"{quote_plus(client_id)}:{quote_plus(secret)}"
