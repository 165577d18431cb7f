"""The door for deliveries keeps its promises on both databases."""

import re
import threading
from contextlib import closing
from pathlib import Path

import pytest

from etl.profiles import load_profile
from etl.registering import register_stored
from etl.storage import StoredFile
from loaders.database import Database
from loaders.imports import ImportStore, NewImport
from loaders.leases import Leases
from loaders.open import open_database
from tests.flow.import_world import ask
from transforms.cdr import TEXT_LIMITS
from transforms.errors import DeliveryRefused, LeaseHeld

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
