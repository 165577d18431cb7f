"""Profiles: find a provider's TOML file and read it, checked whole.

Effects: reads files. A profile in one of the user's own folders goes before a shipped one
of the same name, so that a carrier is added or mended without touching the package.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from transforms.document import did_you_mean
from transforms.errors import ConfigError
from transforms.profile import Profile
from transforms.profile_reading import parse_profile


def load_profile(provider: str, folders: Sequence[Path] = ()) -> Profile:
    """Return the profile of a provider.

    Args:
        provider: Its id, which is also the name of its file (``routit``), or the path of
            a profile (``drafts/carrier.toml``).
        folders: Looked at first, in this order; then the shipped profiles.

    Raises:
        ConfigError: When there is no such profile (near misses are named) or it is
            faulty.
    """
    if provider.endswith(".toml"):
        return load_profile_file(Path(provider))
    for folder in _all_folders(folders):
        path = folder / f"{provider}.toml"
        if not provider.startswith("_") and path.is_file():
            return load_profile_file(path)
    known = available_profiles(folders)
    hint = did_you_mean(provider, known) or f" (known: {', '.join(known)})"
    message = f"there is no provider {provider!r}{hint}"
    raise ConfigError(message)


def load_profile_file(path: Path) -> Profile:
    """Read one profile.

    Raises:
        ConfigError: When the file cannot be read, is no TOML, is faulty, or has another
            id than its name.
    """
    try:
        content = path.read_bytes()
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as exc:
        message = f"profile {path} cannot be read: {exc.strerror}"
        raise ConfigError(message) from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        message = f"profile {path} is no TOML: {exc}"
        raise ConfigError(message) from exc
    profile = parse_profile(document, hashlib.sha256(content).hexdigest())
    if profile.id != path.stem:
        message = f"profile {path} has id {profile.id!r}: it must be named like its file"
        raise ConfigError(message)
    return profile


def available_profiles(folders: Sequence[Path] = ()) -> list[str]:
    """Return the ids of every provider there is a profile for, sorted."""
    names = {
        path.stem
        for folder in _all_folders(folders)
        if folder.is_dir()
        for path in folder.glob("*.toml")
        if not path.name.startswith("_")
    }
    return sorted(names)


def _all_folders(folders: Sequence[Path]) -> Iterator[Path]:
    yield from folders
    with as_file(files("etl") / "providers") as shipped:
        yield shipped
