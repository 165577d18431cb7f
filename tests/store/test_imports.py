"""The door for deliveries keeps its promises on both databases."""

import re
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from etl.profiles import load_profile
from etl.registering import register_stored
from etl.storage import StoredFile
from loaders.database import Database
from loaders.imports import STORED, Claim, ImportStore, NewImport
from loaders.leases import Leases
from loaders.open import open_database
from tests.flow.import_world import ask
from transforms.cdr import KEY, TEXT_LIMITS
from transforms.errors import DeliveryRefused, LeaseHeld, StoreUnavailable

TABLES = ("call_detail_record", "suspended_record", "superseded_record")


def new_import(**changes: str | None) -> NewImport:
    given = {
        "provider": "routit",
        "file_name": "CDR_10001_202501.zip",
        "sha256": "a" * 64,
        "account": "10001",
        "period": "202501",
        "sequence": None,
        "profile_version": "1",
        "profile_sha256": "b" * 64,
        "control_text": None,
        **changes,
    }
    return NewImport(size_bytes=1, **given)  # type: ignore[arg-type]  # each as its column says


@pytest.fixture
def imports(database: Database) -> ImportStore:
    return ImportStore(database, Leases(database), 60)


@pytest.mark.parametrize("table", TABLES)
def test_a_text_of_the_greatest_length_fits_its_column(
    database_url: str, table: str
) -> None:
    lengths = declared(database_url, table)
    assert {name: lengths[name] for name in TEXT_LIMITS} == TEXT_LIMITS


def declared(url: str, table: str) -> dict[str, int]:
    """The length of each text column, as the database knows it."""
    if url.startswith("sqlite"):
        made = dict(ask(url, "SELECT name, sql FROM sqlite_master"))[table]
        checks = re.findall(r"CHECK \(length\((\w+)\) <= (\d+)\)", made)
        return {name: int(length) for name, length in checks}
    rows = ask(url, f"SHOW COLUMNS FROM {table}")
    texts = {str(name): str(kind) for name, kind, *_ in rows if "varchar" in str(kind)}
    return {name: int("".join(re.findall(r"\d", kind))) for name, kind in texts.items()}


def test_a_delivery_registered_by_many_at_once_is_one_import(database_url: str) -> None:
    found: list[int] = []
    start = threading.Barrier(4)

    def register() -> None:
        with closing(open_database(database_url)) as own:
            store = ImportStore(own, Leases(own), 60)
            start.wait(20)
            found.append(store.register(new_import()).id)

    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(found) == 4
    assert len(set(found)) == 1
    assert ask(database_url, "SELECT count(*) FROM import_queue") == [(1,)]


def test_a_delivery_given_again_before_it_is_loaded_takes_its_new_name(
    imports: ImportStore,
) -> None:
    first = imports.register(new_import(file_name="x.zip", account=None, period=None))
    again = imports.register(new_import(control_text="records=1"))
    third = imports.register(new_import())

    assert (first.id, first.file_name) == (again.id, "x.zip")
    assert (again.file_name, again.account) == ("CDR_10001_202501.zip", "10001")
    assert third.control_text == "records=1"


def test_a_delivery_that_is_being_loaded_keeps_its_name(imports: ImportStore) -> None:
    row = imports.register(new_import())
    imports.claim(row, imports.take_provider("routit", "someone"))
    assert imports.register(new_import(file_name="x.zip")).file_name == row.file_name


def test_an_import_is_claimed_once(imports: ImportStore) -> None:
    row = imports.register(new_import())
    lease = imports.take_provider("routit", "someone")
    imports.claim(row, lease)
    with pytest.raises(LeaseHeld, match="import 1 of CDR_10001_202501"):
        imports.claim(row, lease)


def test_a_name_that_says_more_than_can_be_kept_is_refused(imports: ImportStore) -> None:
    profile = load_profile("tmobile_calvi")
    stored = StoredFile("a" * 64, Path("x"), 1)
    with pytest.raises(DeliveryRefused, match="its account has 65 characters, 64 is the"):
        register_stored(imports, stored, f"TMO_CALVI_{'A' * 65}_202501_0001.tsv", profile)


def test_another_provider_may_deliver_the_same_bytes(imports: ImportStore) -> None:
    one = imports.register(new_import())
    other = imports.register(new_import(provider="yielder"))
    assert one.id != other.id


def one_call(claim: Claim, number: int) -> pl.DataFrame:
    """One record (STORED) of a claimed import."""
    moment = datetime.fromisoformat("2025-01-05 10:00:00")
    said = {
        "customer_id": 1,
        "call_date": moment,
        "started_at_utc": moment,
        "import_id": claim.import_id,
        "member": "a.csv",
        "line_no": number,
        "provider": "routit",
        "layout": "mobile",
        "subscriber": "A",
        "other_kind": "none",
        "direction": "out",
        "usage_type": "voice",
        "cost_micros": 40_500,
        "currency": "EUR",
        "flags": "",
        "fingerprint": number,
    }
    return pl.DataFrame([dict.fromkeys(STORED) | said], STORED)


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_whose_answer_was_lost_is_judged_by_its_own_batch_not_by_a_later_one(
    imports: ImportStore,
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_committed: bool,
) -> None:
    row = imports.register(new_import())
    claim = imports.claim(row, imports.take_provider("routit", "someone"))
    nothing = pl.DataFrame(schema=KEY)

    def load(batch_no: int) -> None:
        rows = one_call(claim, batch_no)
        imports.load(claim, rows, first_batch_no=batch_no, batch_rows=1, replaced=nothing)

    load(2)
    monkeypatch.setattr("loaders.imports.RECONNECT_WAITS_S", (0, 0))
    commit: Any = database._commit

    def lose_the_answer(connection: object) -> None:
        monkeypatch.setattr(database, "_commit", commit)
        if is_committed:
            commit(connection)
        message = "commit: the connection was lost"
        raise StoreUnavailable(message)

    monkeypatch.setattr(database, "_commit", lose_the_answer)
    load(1)

    stored = ask(database_url, "SELECT line_no FROM call_detail_record ORDER BY line_no")
    assert [row[0] for row in stored] == [1, 2]
    assert imports.ledger(claim).record_count == 2
