"""Two commits of one import at a time: whichever comes first, the end is the same."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loaders.imports import Claim, ImportStore
from tests.flow.import_world import ANNA, BERT, World, mixed_calls, write_routit
from tests.flow.test_import import ends
from transforms.errors import StoreError

OWNERS = {ANNA: 1, BERT: 2}
PATIENCE_S = 20


@pytest.fixture
def world(mariadb_url: str, tmp_path: Path) -> Iterator[World]:
    """On the database that takes two commits at a time."""
    with World(mariadb_url, tmp_path, load_connections=2) as made:
        made.own(OWNERS)
        yield made


class Overtaken:
    """Lets the first commit of an import wait until a later one is stored, then fail."""

    def __init__(self, load: Any) -> None:  # noqa: ANN401 - the store's own method
        self._load = load
        self._is_later_stored = threading.Event()

    def load(self, imports: ImportStore, claim: Claim, *args: Any, **given: Any) -> int:  # noqa: ANN401 - passed on
        if given["first_batch_no"] == 1:
            assert self._is_later_stored.wait(PATIENCE_S)
            message = "the first commit failed"
            raise StoreError(message)
        written: int = self._load(imports, claim, *args, **given)
        self._is_later_stored.set()
        return written


def test_a_commit_that_failed_behind_a_later_one_is_made_up_for_by_the_next_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    with monkeypatch.context() as patch:
        overtaken = Overtaken(ImportStore.load)
        patch.setattr(ImportStore, "load", lambda *args, **kw: overtaken.load(*args, **kw))
        with pytest.raises(StoreError, match="the first commit failed"):
            world.load(path)
    numbers = [row[0] for row in world.table("import_batch", "batch_no")]
    assert numbers
    assert 1 not in numbers
    assert world.audit() == []

    world.load(path)

    assert ends(world) == {
        "loaded": 80,
        "duplicates": 3,
        "conflicts": 1,
        "rejected": 2,
        "suspended": 20,
    }
    ledger = world.table("import_batch", "sum(record_count)", "count(DISTINCT batch_no)")
    assert int(ledger[0][0]) == 80
    assert world.audit() == []
