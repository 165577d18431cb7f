"""Decode: from the bytes of one member to its text, strictly, and to one kind of line end.

Pure. Two small streams, used by ``lex`` one after the other:

- TextDecoder: bytes to text. A byte that is not of the declared encoding refuses the
  delivery, naming its offset and line; nothing is ever replaced.
- LineEnds: text to text in which every physical line ends with LF. The first line end of
  a file decides its kind (LF, CRLF or bare CR); what is of another kind stays visible.

Units: ``offset`` counts bytes from 0, lines count from 1.
"""

import codecs
from typing import Final, Literal

from transforms.errors import DeliveryRefused

Kind = Literal["LF", "CRLF", "CR"]
BomRule = Literal["forbid", "allow", "require"]

LONGEST_BOM: Final = 4

BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Longest first: the mark of UTF-32 LE begins with that of UTF-16 LE."""


def declared(encoding: str) -> str:
    """Return the one name of an encoding: ``UTF8`` and ``utf-8-sig`` are ``utf-8``."""
    name = codecs.lookup(encoding).name
    return "utf-8" if name == "utf-8-sig" else name


def split_bom(start: bytes) -> tuple[str, int]:
    """Return the encoding whose byte order mark begins ``start``, and its length.

    ``EF BB BF 61`` is ``("utf-8", 3)``; without a mark it is ``("", 0)``.
    """
    for mark, encoding in BOMS:
        if start.startswith(mark):
            return encoding, len(mark)
    return "", 0


class UndecodableError(Exception):
    """Bytes that are not of the declared encoding; ``lex`` adds the line.

    Attributes:
        before: Text of the same feed before the bytes.
    """

    def __init__(self, message: str, before: str) -> None:
        """Keep the text that stands before the fault."""
        super().__init__(message)
        self.before = before


class TextDecoder:
    """Bytes in, text out, in pieces of any size; refuses what is not as declared."""

    def __init__(
        self, encoding: str, bom: BomRule, *, reject_if_utf8: bool = False
    ) -> None:
        """Keep the profile's word for encoding and byte order mark."""
        self._encoding = declared(encoding)
        self._bom = bom
        self._start = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._utf8 = _Utf8Watch() if reject_if_utf8 else None
        self._offset = 0

    def feed(self, data: bytes) -> str:
        """Return the text of the next bytes; the first four are held for their mark.

        Raises:
            DeliveryRefused: For a byte order mark that is not as declared.
            UndecodableError: For a byte that is not of the encoding.
        """
        if self._decoder is None:
            self._start += data
            if len(self._start) < LONGEST_BOM:
                return ""
            data = self._begin()
        return self._decode(data, final=False)

    def finish(self) -> str:
        """Return the last text.

        Raises:
            DeliveryRefused: When the file is UTF-8 although the profile declares a
                single-byte encoding.
            UndecodableError: When the file ends inside a character.
        """
        data = self._begin() if self._decoder is None else b""
        text = self._decode(data, final=True)
        if self._utf8 is not None and self._utf8.is_utf8():
            message = (
                f"the file is UTF-8, but its profile says {self._encoding}: every letter "
                "outside ASCII would be read wrong; set encoding or reject_if_utf8"
            )
            raise DeliveryRefused(message)
        return text

    def _begin(self) -> bytes:
        found, length = split_bom(self._start)
        self._encoding = _agreed(self._encoding, found)
        if found and self._bom == "forbid":
            message = f"the file begins with a byte order mark ({found}), which bom forbids"
            raise DeliveryRefused(message)
        if not found and self._bom == "require":
            message = "the file begins without the byte order mark that bom requires"
            raise DeliveryRefused(message)
        self._decoder = codecs.getincrementaldecoder(self._encoding)("strict")
        self._offset = length
        rest, self._start = self._start[length:], b""
        return rest

    def _decode(self, data: bytes, *, final: bool) -> str:
        if self._decoder is None:
            return ""
        held = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as exc:
            raise self._undecodable(exc, self._offset - held) from exc
        if self._utf8 is not None:
            self._utf8.feed(data, final=final)
        self._offset += len(data)
        return text

    def _undecodable(self, exc: UnicodeDecodeError, begin: int) -> UndecodableError:
        is_cut_off = exc.end >= len(exc.object) and "end" in exc.reason
        what = "the file ends inside a character" if is_cut_off else "a byte is not"
        message = f"{what} of {self._encoding} at byte offset {begin + exc.start}"
        return UndecodableError(message, exc.object[: exc.start].decode(exc.encoding))


class _Utf8Watch:
    """Watches whether bytes that were declared single-byte are UTF-8 after all."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._valid = True
        self._beyond_ascii = False

    def feed(self, data: bytes, *, final: bool) -> None:
        if not self._valid:
            return
        self._beyond_ascii = self._beyond_ascii or not data.isascii()
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError:
            self._valid = False

    def is_utf8(self) -> bool:
        return self._valid and self._beyond_ascii


def _agreed(encoding: str, found: str) -> str:
    """Return the encoding to decode by, once the mark found agrees with the profile."""
    if not found:
        if encoding in {"utf-16", "utf-32"}:
            message = (
                f"the file has no byte order mark, so {encoding} does not say which byte "
                f"comes first; write {encoding}-le or {encoding}-be in the profile"
            )
            raise DeliveryRefused(message)
        return encoding
    if encoding in (found, found.removesuffix("-le").removesuffix("-be")):
        return found
    message = (
        f"the file begins with the byte order mark of {found}, "
        f"but its profile says {encoding}"
    )
    raise DeliveryRefused(message)


class LineEnds:
    """Text in, text out, every physical line ended by LF.

    - LF: as it stands; a CR in it is a fault for the lexer to see.
    - CRLF: as it stands; each line must still end with CR, which the lexer takes off.
    - CR: CR and LF change places, so that an LF of the file is seen as a stray CR.
      ``restore`` changes them back.
    """

    def __init__(self) -> None:
        """Start before the first line end."""
        self.kind: Kind | None = None
        self._held = ""

    @property
    def held_chars(self) -> int:
        """Characters kept back because their line end is not decided yet."""
        return len(self._held)

    def line_ends_before(self, text: str) -> int:
        """Return how many line ends are held back or in a text not fed yet."""
        unread = self._held + text
        kind = self.kind or _first_kind(unread, final=True)
        return unread.count("\r" if kind == "CR" else "\n")

    def feed(self, text: str) -> str:
        """Return what can be told of the text so far."""
        return self._convert(self._held + text if self._held else text, final=False)

    def finish(self) -> str:
        """Return the rest; a file without any line end counts as LF."""
        return self._convert(self._held, final=True)

    def restore(self, text: str) -> str:
        """Return a text of the converted file as the file had it."""
        if self.kind != "CR" or not ("\n" in text or "\r" in text):
            return text
        return text.translate(_SWAP).replace("\n\r", "\r\n")

    def _convert(self, text: str, *, final: bool) -> str:
        self._held = ""
        if self.kind is None:
            self.kind = _first_kind(text, final=final)
            if self.kind is None:
                self._held = text
                return ""
        if self.kind != "CR":
            return text
        if text.endswith("\r") and not final:
            text, self._held = text[:-1], "\r"
        if "\n" not in text:
            return text.replace("\r", "\n")
        # CRLF in a file of CR: the LF belongs to the line that it ends.
        return text.replace("\r\n", "\n\r").translate(_SWAP)


_SWAP: Final = {ord("\n"): "\r", ord("\r"): "\n"}


def _first_kind(text: str, *, final: bool) -> Kind | None:
    """Return the kind of the first line end, or None while it cannot be told."""
    lf, cr = text.find("\n"), text.find("\r")
    if cr < 0 or 0 <= lf < cr:
        return "LF" if lf >= 0 or final else None
    if cr + 1 == len(text) and not final:
        return None
    return "CRLF" if lf == cr + 1 else "CR"
