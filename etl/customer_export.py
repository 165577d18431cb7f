"""Everything that is kept about a customer, written into a folder.

Effects: reads the database in one snapshot; writes ``customer.json``, ``invoices.json``,
``calls.csv`` and ``set_aside.csv`` into a folder for this user only. A file is written
under another name and renamed when it is whole.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from etl.app import App
from etl.documents.specification import ENCODING, csv_line
from etl.invoice_document import invoice_document
from loaders.customer_data import CALLS, SET_ASIDE, SHORT, CustomerData
from transforms.errors import ConfigError, StorageError

OURS = 0o700
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass
class Exported:
    """What was written."""

    files: list[Path] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def export_customer(app: App, customer_id: int, folder: Path) -> Exported:
    """Write everything that is kept about a customer.

    Raises:
        ConfigError: When there is no such customer.
        StorageError: When the disk refuses.
    """
    done = Exported()
    with app.database.snapshot() as tx:
        data = CustomerData(tx, customer_id)
        customer = data.customer()
        if customer is None:
            message = f"there is no customer {customer_id}; nothing is kept under this id"
            raise ConfigError(message)
        lists = {name: data.short(name) for name in SHORT}
        done.counts = {name: len(rows) for name, rows in lists.items()}
        _write(folder / "customer.json", _json({"customer": customer, **lists}), done)
        _write(folder / "calls.csv", _calls(data, done), done)
        _write(folder / "set_aside.csv", _set_aside(data, done), done)
    invoices = [
        invoice_document(each)
        for page in app.invoices.pages(customer_id=customer_id)
        for each in page
    ]
    done.counts["invoices"] = len(invoices)
    _write(folder / "invoices.json", _json({"invoices": invoices}), done)
    return done


def _json(document: Mapping[str, object]) -> Iterator[bytes]:
    yield json.dumps(document, ensure_ascii=False, indent=2, default=str).encode() + b"\n"


def _calls(data: CustomerData, done: Exported) -> Iterator[bytes]:
    done.counts["calls"] = 0
    yield csv_line(CALLS).encode(ENCODING)
    for frame in data.calls():
        done.counts["calls"] += frame.height
        for row in frame.iter_rows():
            yield csv_line(map(_text, row)).encode()


def _set_aside(data: CustomerData, done: Exported) -> Iterator[bytes]:
    """Write what was not loaded or was replaced: kind and place, then all there is."""
    lists = [(name, data.set_aside(name)) for name in SET_ASIDE]
    lists.append(("superseded", data.superseded()))
    yield csv_line(["kind", "import_id", "member", "line_no", "record"]).encode(ENCODING)
    for name, rows in lists:
        done.counts[name] = len(rows)
        for row in rows:
            record = json.dumps(row, ensure_ascii=False, sort_keys=True)
            place = [_text(row[key]) for key in ("import_id", "member", "line_no")]
            yield csv_line([name, *place, record]).encode()


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _write(path: Path, blocks: Iterable[bytes], done: Exported) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=OURS, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, NEW_FILE, 0o600), "wb") as file:
            file.writelines(blocks)
        part.replace(path)
    except OSError as exc:
        message = f"cannot write {path}: {exc.strerror}; make room and run again"
        raise StorageError(message) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    done.files.append(path)
