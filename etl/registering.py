"""Registering: from bytes in storage to a row of ``import_queue``.

Effects: the database. A delivery is known by its content, so the same bytes under any
name are the import that is there already.
"""

from typing import TYPE_CHECKING

from etl.storage import StoredFile, safe_name
from loaders.imports import ImportRow, ImportStore, NewImport
from transforms.errors import DeliveryRefused
from transforms.profile import Profile

if TYPE_CHECKING:
    from transforms.normalise import DeliveryName

MOST_CHARS = {"account": 64, "period": 16, "seq": 16}
"""How long the words of a file name may be."""


def register_stored(
    imports: ImportStore,
    stored: StoredFile,
    file_name: str,
    profile: Profile,
    control_text: str | None = None,
) -> ImportRow:
    """Return the import of these bytes; a new one when they were never seen.

    Raises:
        DeliveryRefused: When a word of the file name is too long to be one.
    """
    return imports.register(new_import(stored, file_name, profile, control_text))


def new_import(
    stored: StoredFile, file_name: str, profile: Profile, control_text: str | None
) -> NewImport:
    """Describe a delivery in storage by its name and the profile that will read it.

    Raises:
        DeliveryRefused: When a word of the file name is too long to be one.
    """
    # Normalising is only loaded by who has a delivery at hand: others start quickly.
    from transforms.normalise import delivery_name

    name = delivery_name(profile.source, file_name)
    _require_short(name, file_name)
    return NewImport(
        provider=profile.id,
        file_name=safe_name(file_name),
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        account=name.account,
        period=name.period,
        sequence=name.seq,
        profile_version=profile.version,
        profile_sha256=profile.sha256,
        control_text=control_text,
    )


def _require_short(name: "DeliveryName", file_name: str) -> None:
    for word, most in MOST_CHARS.items():
        length = len(getattr(name, word) or "")
        if length > most:
            message = (
                f"{safe_name(file_name)}: its {word} has {length} characters, {most} is "
                "the most; correct filename_regex in the profile"
            )
            raise DeliveryRefused(message)
