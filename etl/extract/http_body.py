"""HTTP bodies: decompress them within bounds, and show a little of them to a person.

Pure: bytes in, bytes or text out. A compressed body that stops early is an error here
(HTTP libraries hand it on as if it were whole), and no step inflates more than 64 KiB.
"""

import html
import re
import zlib
from collections.abc import Iterable, Iterator

from transforms.errors import SourceError, SourceUnavailable

SHOWN_CHARS = 200

_STEP_BYTES = 64 * 1024
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": 15}
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_LONG_NUMBER = re.compile(r"\+?\d(?:[ -]?\d){8,}")


def decoded(blocks: Iterable[bytes], content_encoding: str) -> Iterator[bytes]:
    """Undo a Content-Encoding, a little at a time.

    Raises:
        SourceUnavailable: The compressed body stops before its end.
        SourceError: It is damaged, followed by other bytes, or of an unknown kind.
    """
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        yield from blocks
        return
    if name not in _WINDOW_BITS:
        msg = f"the body has Content-Encoding {safe_text(name)!r}, which is not supported"
        raise SourceError(msg)
    yield from _inflated(blocks, name)


def _inflated(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    engine = zlib.decompressobj(_WINDOW_BITS[name])
    try:
        for block in blocks:
            left = block
            while left:
                yield engine.decompress(left, _STEP_BYTES)
                left = engine.unconsumed_tail
            if engine.unused_data:
                msg = f"the {name} body is followed by other bytes"
                raise SourceError(msg)
        yield engine.flush()
    except zlib.error as exc:
        msg = f"the {name} body is damaged"
        raise SourceError(msg) from exc
    if not engine.eof:
        msg = f"the {name} body is incomplete: it stops before its end"
        raise SourceUnavailable(msg)


def safe_text(text: str | bytes, chars: int = SHOWN_CHARS) -> str:
    r"""Make foreign text fit to be read in a log line.

    One line, printable characters only, capped, long numbers masked (they may be a
    telephone number): ``b"a\r\nb\x1b[31m +31612345678"`` -> ``"a b [31m [number]"``.
    """
    if isinstance(text, bytes):
        text = text[: chars * 8].decode("utf-8", errors="replace")
    printable = "".join(c if c.isprintable() else " " for c in text[: chars * 8])
    line = _LONG_NUMBER.sub("[number]", " ".join(printable.split()))
    return line if len(line) <= chars else f"{line[:chars]}…"


def is_html(body: bytes, content_type: str = "") -> bool:
    """Whether a body is a web page, by its first letters or by what it says it is."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith(
        (b"<!doctype html", b"<html")
    ) or content_type.strip().lower().startswith("text/html")


def html_title(body: bytes) -> str:
    """Say what a web page calls itself, for a message: its title, else its start."""
    found = _TITLE.search(body[:16_384].decode("utf-8", errors="replace"))
    return safe_text(html.unescape(found[1]) if found else body)
