"""Collecting: new files of a folder, here or on a provider's server, become imports.

Effects: the folder, storage and the database. A file is kept in storage first, registered
next, and its import is queued in the transaction that ends the step; it is moved out of
the drop folder after its import. A kill anywhere is mended by looking again: a file is
known by its content.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from etl.app import App
from etl.bus import Context, Outcome, new_job
from etl.chains import (
    CollectFolder,
    CollectSftp,
    ImportCollected,
    ImportDelivery,
    import_command,
)
from etl.extract.folder import (
    MOST_FILES,
    DropFolder,
    FileChangedError,
    FoundFile,
    Place,
)
from etl.failpoints import failpoint
from etl.feeds import drop_folder, sftp_folder
from etl.profiles import load_profile
from etl.registering import new_import
from etl.storage import safe_name
from loaders.imports import ImportRow
from loaders.sync import Arrived
from transforms.due import missing_numbers, numbers_text
from transforms.errors import BillingError, ConfigError, DeliveryRefused, StorageError
from transforms.profile import Profile

NAMES_TOLD = 3
"""Names of files that a message lists; of further ones it says how many."""

RESET = "Reset manually"
"""How the message begins of an import that an operator had run again."""

PUT_AWAY: dict[str, Place] = {"done": "processed", "refused": "rejected"}

_log = logging.getLogger(__name__)


@dataclass
class Collected:
    """What one look found, by what became of it."""

    imports: list[int] = field(default_factory=list)
    """Imports to run, in the order of their sequence numbers."""
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Files that a person must see to; the others go on."""

    def take(self, row: ImportRow, name: str) -> None:
        """Note what becomes of a registered delivery."""
        shown = safe_name(name)
        if row.status == "held":
            self.notes.append(f"{shown} is held as import {row.id}: {row.message}")
        elif row.status == "failed":
            self.notes.append(f"{shown} failed as import {row.id}: {row.message}")
        else:
            self.imports.append(row.id)

    def commands(self, provider: str) -> list[ImportDelivery | ImportCollected]:
        """The commands that import what was found."""
        return [import_command(provider, import_id) for import_id in self.imports]

    def told(self) -> str:
        """Say it in one line."""
        counted = f"{len(self.imports)} to import" if self.imports else "nothing new"
        return "; ".join([counted, *self.notes])


class Left:
    """Deliveries that are there but were not taken, where numbers say what comes next.

    One with a higher number of the same account goes after them: it is neither held for a
    gap that is none, nor imported before what it may correct.
    """

    def __init__(self, profile: Profile, *names: Sequence[str]) -> None:
        """Begin with the names that are left from the start."""
        self._profile = profile
        self._names: list[str] = []
        for name in chain.from_iterable(names):
            self.add(name)

    def add(self, name: str) -> None:
        """Leave one more."""
        if self._profile.source.sequence is not None:
            self._names.append(name)

    def before(self, name: str) -> str | None:
        """Return one that must go before this one; None when there is none."""
        place = order_of(name, self._profile)
        for other in self._names:
            first = order_of(other, self._profile)
            if first[0] == place[0] and first < place:
                return other
        return None


def collect_folder(app: App, command: CollectFolder, context: Context) -> Outcome:
    """Take the whole files out of a drop folder, each as an import to run."""
    profile = load_profile(command.provider, folders=[app.settings.providers])
    folder = drop_folder(app.feed(command.provider), profile)
    look = folder.look()
    collected = Collected()
    left = Left(profile, look.growing, [file.name for file in look.without_control])
    for file in in_order(look.whole, profile)[:MOST_FILES]:
        context.checkpoint()
        if before := left.before(file.name):
            collected.notes.append(f"{safe_name(file.name)} goes after {safe_name(before)}")
            continue
        try:
            _take_file(app, folder, profile, file, collected)
        except FileChangedError:
            left.add(file.name)
            collected.notes.append(f"{safe_name(file.name)} is still being written")
        except (DeliveryRefused, StorageError) as exc:
            left.add(file.name)
            collected.faults.append(f"{safe_name(file.name)}: {exc}")
    for file in look.without_control:
        _put_away_known(app, folder, profile, file, collected)
    _note(collected, look.growing, "still being written")
    _note(collected, look.strangers, f"not like {profile.source.file_glob}, left alone")
    _note(collected, [file.name for file in look.whole[MOST_FILES:]], "left for later")
    return _finish(app, command.provider, context, collected)


def _take_file(
    app: App, folder: DropFolder, profile: Profile, file: FoundFile, collected: Collected
) -> None:
    limit_bytes = app.settings.limits.download_mb * 1_000_000
    if file.size_bytes > limit_bytes:
        message = (
            f"it has {file.size_bytes} bytes, and {limit_bytes} is the limit "
            "(limits.download_mb); raise it if the file is really this large"
        )
        raise DeliveryRefused(message)
    known = app.imports.by_content(profile.id, folder.sha256(file))
    if known is not None and known.is_complete:
        folder.put_away(file, "processed")
        collected.notes.append(f"{safe_name(file.name)} was imported as {known.id} before")
        return
    row = _register(
        app,
        profile,
        folder.blocks(file),
        file.name,
        folder.control_text(file),
        collected,
    )
    collected.take(row, file.name)


def _put_away_known(
    app: App, folder: DropFolder, profile: Profile, file: FoundFile, collected: Collected
) -> None:
    """A file without its control file waits, unless it is imported and only left behind."""
    shown = safe_name(file.name)
    try:
        known = app.imports.by_content(profile.id, folder.sha256(file))
        if known is not None and known.is_complete:
            folder.put_away(file, "processed")
            collected.notes.append(f"{shown} was imported as {known.id} before")
            return
    except FileChangedError:
        pass
    collected.notes.append(f"{shown} waits for {shown}{folder.control_suffix}")


def collect_sftp(app: App, command: CollectSftp, context: Context) -> Outcome:
    """Bring what is new on a provider's server, each file as an import to run."""
    profile = load_profile(command.provider, folders=[app.settings.providers])
    feed = app.feed(command.provider)
    remote = sftp_folder(feed, profile, app.settings.limits)
    # What an earlier visit registered is not new any more, but may not be queued yet.
    collected = Collected(imports=imports_to_resume(app, command.provider))
    with app.storage.workspace(f"sftp-{command.provider}") as into:
        visit = remote.visit(
            lambda file: (
                not app.syncs.was_fetched(
                    profile.id, safe_name(file.name), file.size_bytes, file.modified_s
                )
            ),
            into,
        )
        left = Left(
            profile,
            [*visit.growing, *visit.without_control, *visit.too_large, *visit.unreadable],
        )
        for brought in sorted(
            visit.brought, key=lambda each: order_of(each.remote.name, profile)
        ):
            context.checkpoint()
            name = brought.remote.name
            if before := left.before(name):
                collected.notes.append(f"{safe_name(name)} goes after {safe_name(before)}")
                continue
            control = None
            if brought.control is not None:
                control = brought.control.read_bytes().decode("utf-8", errors="replace")
            try:
                row = _register(app, profile, brought.path, name, control, collected)
            except (DeliveryRefused, StorageError) as exc:
                left.add(name)
                collected.faults.append(f"{safe_name(name)}: {exc}")
                continue
            if row.is_complete:
                collected.notes.append(f"{safe_name(name)} was imported as {row.id} before")
            else:
                collected.take(row, name)
    _note(collected, visit.growing, "still being written")
    _note(collected, visit.without_control, f"waiting for {remote.control_suffix}")
    limit = app.settings.limits.download_mb
    collected.faults += [f"{safe_name(n)} has over {limit} MB" for n in visit.too_large]
    collected.faults += [f"{safe_name(n)} may not be read" for n in visit.unreadable]
    return _finish(app, command.provider, context, collected)


def imports_to_resume(app: App, provider: str) -> list[int]:
    """Imports that lost their worker, were stopped, or were reset by an operator.

    One that failed waits for a person, who retries its job or resets its row.
    """
    found = ((each, app.imports.find(each)) for each in app.imports.runnable(provider))
    return [
        import_id
        for import_id, row in found
        if row is not None
        and (row.status != "failed" or (row.message or "").startswith(RESET))
    ]


def put_away_import(app: App, row: ImportRow, profile: Profile) -> None:
    """Move the file of an import out of its drop folder, when it came from one.

    What cannot be moved now is moved at the next look.
    """
    place = PUT_AWAY.get(row.status)
    if place is None:
        return
    try:
        feed = app.feed(row.provider)
        if feed.settings.transport == "folder":
            drop_folder(feed, profile).put_away_import(row.file_name, row.sha256, place)
    except ConfigError:
        return  # a file by hand, of a provider without a feed
    except (BillingError, FileChangedError) as error:
        _log.warning("import %d: its file stays in the folder: %s", row.id, error)


def in_order(files: Iterable[FoundFile], profile: Profile) -> list[FoundFile]:
    """Sort files by account and sequence number, else by name."""
    return sorted(files, key=lambda file: order_of(file.name, profile))


def order_of(name: str, profile: Profile) -> tuple[str, int, str]:
    """Where a file stands among others: by account, sequence number, then name."""
    # Normalising is only loaded by who has a delivery at hand: others start quickly.
    from transforms.normalise import delivery_name

    parts = delivery_name(profile.source, name)
    return parts.account or "", _number(parts.seq) or 0, name


def _register(
    app: App,
    profile: Profile,
    content: Path | Iterable[bytes],
    name: str,
    control_text: str | None,
    collected: Collected,
) -> ImportRow:
    """Keep a file in storage and register it, held when numbers before it are missing."""
    limit_bytes = app.settings.limits.download_mb * 1_000_000
    stored = app.storage.keep(content, limit_bytes=limit_bytes)
    new = new_import(stored, name, profile, control_text)
    sequence = profile.source.sequence
    if sequence is not None and sequence.gap == "hold":
        app.syncs.register_held(new, lambda arrived: hold_reason(new.sequence, arrived))
    elif sequence is not None:
        arrived = app.syncs.arrived(profile.id, new.account)
        if missing := missing_text(new.sequence, arrived):
            collected.notes.append(f"{safe_name(name)}: missing before it: {missing}")
    failpoint("collect_registered")
    return app.imports.register(new)


def hold_reason(sequence: str | None, arrived: Arrived) -> str | None:
    """Say why a delivery is held; None when no number before it is missing."""
    missing = missing_text(sequence, arrived)
    if not missing:
        return None
    return (
        f"missing before it: {missing}; ask the provider for what is missing, or let this "
        "one go with: etl import:release"
    )


def missing_text(sequence: str | None, arrived: Arrived) -> str:
    """Say which sequence numbers before a delivery did not come; empty when none."""
    number = _number(sequence)
    if number is None or sequence is None or sequence in arrived.numbers:
        return ""
    gaps = missing_numbers(
        number,
        {each for each in map(_number, arrived.numbers) if each is not None},
        {each for each in map(_number, arrived.held) if each is not None},
    )
    return numbers_text(gaps, len(sequence)) if gaps else ""


def _number(sequence: str | None) -> int | None:
    if sequence is None or not (sequence.isascii() and sequence.isdigit()):
        return None
    return int(sequence)


def _note(collected: Collected, names: Sequence[str], why: str) -> None:
    if names:
        shown = ", ".join(safe_name(name) for name in names[:NAMES_TOLD])
        more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
        collected.notes.append(f"{shown}{more}: {why}")


def _finish(app: App, provider: str, context: Context, collected: Collected) -> Outcome:
    """Queue the imports in the transaction that ends the step.

    A file that a person must see to makes the step failed; the imports of the others are
    queued all the same.

    Raises:
        StorageError: Naming each file that could not be taken.
    """
    commands = collected.commands(provider)
    result = {"found": collected.told(), "imports": collected.imports}
    failpoint("collect_before_finish")
    if not collected.faults:
        with app.database.transaction() as tx:
            return context.finish(tx, result, commands)
    with app.database.transaction() as tx:
        context.require_fence(tx)
        for command in commands:
            app.jobs.enqueue(tx, new_job(command), context.job.run_id, context.job.id)
    message = f"{'; '.join(collected.faults)} ({collected.told()})"
    raise StorageError(message)
