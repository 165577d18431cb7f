"""Documents as files: written whole or not at all, and made again any time.

Effects: files in a folder of the storage folder, ``invoices/<year>/<number>.<ending>``.
The names are ours: nothing a customer is called becomes a path. A file grows under a name
that ends in ``.part`` and is renamed when it is whole; it is not synced, because it can
be made again from the stored invoice.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal, get_args

from etl.documents.calls import Found, batches
from etl.documents.calls_json import calls_document
from etl.documents.html import html_document
from etl.documents.pdf import is_available, pdf_document
from etl.documents.specification import Role, specification
from etl.failpoints import failpoint
from etl.invoice_document import invoice_document
from transforms.errors import ConfigError, Stopped, StorageError
from transforms.invoice import Invoice
from transforms.invoice_calls import Itemised
from transforms.ubl import ubl_document

Format = Literal["json", "html", "csv", "calls.json", "xml", "pdf"]
"""A format by the ending of its files."""
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


Calls = Callable[[Sequence[Invoice]], Mapping[str, Found]]
"""The calls of invoices by their numbers, each of a cycle of its own; see calls.py."""

OURS: Final = 0o700


@dataclass(frozen=True)
class Written:
    """The files of one invoice, and the formats it could not be written in, with why."""

    number: str
    files: tuple[Path, ...]
    missing: Mapping[str, str]


def usual_formats() -> tuple[Format, ...]:
    """Every format there is; PDF only where its extra is installed."""
    return tuple(each for each in FORMATS if each != "pdf" or is_available())


class DocumentFolder:
    """Writes invoices into files."""

    def __init__(
        self, storage: Path, calls: Calls, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Remember the folder; it is made when something is first put in it."""
        self._root = storage / "invoices"
        self._calls = calls
        self._stop = stop

    def path(self, invoice: Invoice, ending: Format) -> Path:
        """Return where a document is, or would be."""
        return self._root / str(invoice.year) / f"{invoice.number}.{ending}"

    def write_all(
        self,
        invoices: Iterable[Invoice],
        formats: Sequence[Format] = (),
        role: Role = "customer",
        progress: Callable[[int], None] = lambda _count: None,
    ) -> list[Written]:
        """Write many invoices, in every format there is unless some are named.

        Raises:
            StorageError: When the disk refuses.
            Stopped: When the process was asked to stop.
        """
        wanted = formats or usual_formats()
        written: list[Written] = []
        for batch in batches(invoices):
            calls = self._calls(batch) if SPECIFICATIONS.keys() & set(wanted) else {}
            for invoice in batch:
                found = calls.get(invoice.number)
                written.append(self._write(invoice, wanted, role, found))
                progress(1)
                if self._stop():
                    message = (
                        f"stopped after the documents of {len(written)} invoices; make "
                        "the others with: etl invoice:documents --all"
                    )
                    raise Stopped(message)
        return written

    def write(
        self, invoice: Invoice, formats: Sequence[Format], role: Role = "customer"
    ) -> Written:
        """Write one invoice as :meth:`write_all` writes many."""
        return self.write_all([invoice], formats, role)[0]

    def _write(
        self, invoice: Invoice, formats: Sequence[Format], role: Role, found: Found | None
    ) -> Written:
        """Write an invoice in these formats, in place of what was there.

        A format that needs what there is not is left out and said. A correction has no
        specification: what it corrects is in its lines, the calls are with the invoice.

        Raises:
            StorageError: When the disk refuses; the file that was there stays.
        """
        files: list[Path] = []
        missing: dict[str, str] = {}
        for ending in formats:
            try:
                blocks = _blocks(invoice, ending, role, found)
            except ConfigError as exc:
                missing[ending] = str(exc)
                continue
            if blocks is not None:
                path = self.path(invoice, ending)
                _replace(path, blocks)
                files.append(path)
        return Written(invoice.number, tuple(files), missing)


def _blocks(
    invoice: Invoice, ending: Format, role: Role, found: Found | None
) -> Iterator[bytes] | None:
    """Begin to write a document; None for one that such an invoice does not have."""
    if ending not in SPECIFICATIONS:
        return iter([PAGES[ending](invoice)])
    if isinstance(found, str):
        raise ConfigError(found)
    return SPECIFICATIONS[ending](invoice, found, role) if found else None


def _json(invoice: Invoice) -> bytes:
    document = invoice_document(invoice)
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    return f"{text}\n".encode()


PAGES: Final[Mapping[Format, Callable[[Invoice], bytes]]] = {
    "json": _json,
    "html": html_document,
    "xml": ubl_document,
    "pdf": pdf_document,
}

SPECIFICATIONS: Final[
    Mapping[Format, Callable[[Invoice, Itemised, Role], Iterator[bytes]]]
] = {"csv": specification, "calls.json": calls_document}
"""Formats that hold calls one by one, and so personal data with a term of its own."""


def _replace(path: Path, blocks: Iterator[bytes]) -> None:
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        path.parent.mkdir(mode=OURS, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.writelines(blocks)
            failpoint("document_before_rename")
        part.replace(path)
    except OSError as exc:
        message = (
            f"cannot write {path}: {exc.strerror or type(exc).__name__}; the invoice is "
            f"issued, make its documents again with: etl invoice:documents {path.stem}"
        )
        raise StorageError(message) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
