"""Checked reading of a document: every fault is collected, none stops the reading.

Pure. A person mends a file once, not once for each mistake: a ``Table`` is read key by
key, notes what is missing, unknown or of the wrong kind under its full path, and gives a
harmless value back so that reading goes on. The caller raises when notes were taken.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeVar

from transforms.errors import ConfigError

Word = TypeVar("Word", bound=str)

_KINDS: Final = {str: "text", int: "a whole number", bool: "true or false", dict: "a table"}


class Faults:
    """The notes taken while one document is read."""

    def __init__(self, what: str) -> None:
        """Begin without notes; ``what`` names the document in the message."""
        self.what = what
        self.notes: list[str] = []

    def note(self, where: str, fault: str) -> None:
        """Write down one fault at one path."""
        self.notes.append(f"{where}: {fault}")

    def raise_if_any(self) -> None:
        """Stop when anything was noted.

        Raises:
            ConfigError: One message with every fault and its path.
        """
        if self.notes:
            count = len(self.notes)
            head = f"{self.what} has {count} fault{'s' if count > 1 else ''}"
            message = f"{head}: {'; '.join(self.notes)}"
            raise ConfigError(message)


class Table:
    """One table of a document, read key by key; close it to report unknown keys."""

    def __init__(self, values: Mapping[str, object], where: str, faults: Faults) -> None:
        """Hold a table found at the path ``where`` (empty for the whole document)."""
        self.values = values
        self.faults = faults
        self.where = where
        self._asked: list[str] = []

    def path(self, key: str) -> str:
        """Return the full path of a key, such as ``layout[mobile].money.unit``."""
        return f"{self.where}.{key}" if self.where else key

    def note(self, key: str, fault: str) -> None:
        """Write down a fault of one key."""
        self.faults.note(self.path(key), fault)

    def has(self, key: str) -> bool:
        """Tell whether the key was written."""
        return key in self.values

    def get(self, key: str) -> object:
        """Return the raw value, or None, and remember that the key is known."""
        self._asked.append(key)
        return self.values.get(key)

    def need(self, key: str) -> object:
        """Return the raw value; note the key when it is missing."""
        if not self.has(key):
            self.note(key, "missing")
        return self.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Return text; without a default the key is required and not empty."""
        if default is not None and not self.has(key):
            self.get(key)
            return default
        value = self.need(key)
        if not isinstance(value, str):
            self._wrong_kind(key, value, str)
            return default or ""
        if default is None and not value:
            self.note(key, "must not be empty")
        return value

    def whole(self, key: str, default: int, least: int = 0, most: int = 2**53) -> int:
        """Return a whole number between two bounds."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong_kind(key, value, int)
            return default
        if not least <= value <= most:
            limit = f"{least} to {most}" if most < 2**53 else f"{least} or more"
            self.note(key, f"must be {limit}, not {value}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong_kind(key, value, bool)
            return default
        return value

    def choice(
        self, key: str, options: Sequence[Word], default: Word | None = None
    ) -> Word:
        """Return one of the options; without a default the key is required."""
        if default is not None and not self.has(key):
            self.get(key)
            return default
        value = self.need(key)
        for option in options:
            if value == option:
                return option
        if value is not None:
            self.note(key, f"must be {one_of(options)}, not {shown(value)}")
        return options[0]

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.note(key, f"must be a list of texts, not {shown(value)}")
            return default
        return tuple(value)

    def text_map(self, key: str) -> dict[str, str]:
        """Return a table of text to text."""
        table = self.table(key)
        if table is None:
            return {}
        return {name: table.text(name, "") for name in table.values}

    def table(self, key: str) -> "Table | None":
        """Return the table at a key, or None when there is none."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._wrong_kind(key, value, dict)
            return None
        return Table(value, self.path(key), self.faults)

    def needed_table(self, key: str) -> "Table":
        """Return the table at a key; one that is missing counts as empty."""
        return self.table(key) or Table({}, self.path(key), self.faults)

    def tables(self, key: str) -> list["Table"]:
        """Return a list of tables; each goes by its ``name``, or by its place from 1."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.note(key, f"must be a list of tables, not {shown(value)}")
            return []
        names = [item.get("name") or place for place, item in enumerate(value, start=1)]
        return [
            Table(item, f"{self.path(key)}[{name}]", self.faults)
            for name, item in zip(names, value, strict=True)
        ]

    def close(self) -> None:
        """Note every key that nobody asked for, with the nearest known one."""
        for key in self.values:
            if key not in self._asked:
                self.note(key, f"unknown key{did_you_mean(key, self._asked)}")

    def _wrong_kind(self, key: str, value: object, kind: type) -> None:
        if value is not None:
            self.note(key, f"must be {_KINDS[kind]}, not {shown(value)}")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `` (did you mean 'unit'?)`` for a near miss, or nothing."""
    near = get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def one_of(options: Sequence[str]) -> str:
    """List the options for a message: ``one of 'ex', 'inc'``."""
    return f"one of {', '.join(repr(option) for option in options)}"


def shown(value: object) -> str:
    """Show a value in a message, short enough to read."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
