"""Totals in both stores: complete imports only, swapped whole, every revision kept."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest

from loaders.database import Database, Transaction
from loaders.imports import STORED
from loaders.open import open_database
from loaders.totals import CYCLE, DIRTY, TotalsStore, Written
from tests.model import CycleAsked, Usage, micros, totals
from tests.store.statements import statements_of_tests
from transforms.errors import FenceLost, StoreError
from transforms.totals import PAIRS, Engine, Totals, lines_from_json, standard_totals

OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))
DONE, RUNNING = 1, 2

IMPORTS = pl.DataFrame(
    {
        "id": [DONE, RUNNING],
        "type": "routit_cdr",
        "provider": "routit",
        "locked": [0, 1],
        "complete": [1, 0],
        "status": ["done", "running"],
        "file_name": "a.zip",
        "sha256": ["1" * 64, "2" * 64],
        "size_bytes": 1,
    }
)


def call(customer_id: int, day: int, price: str | None, zone: str | None = None) -> Usage:
    moment = datetime(2026, 10, day, 9)  # noqa: DTZ001 - a wall clock
    cost = None if price is None else Decimal(price)
    return Usage(customer_id, moment, "voice", zone, duration_s=60, price=cost)


def store_records(
    database: Database, records: Sequence[Usage], *, import_id: int = DONE
) -> None:
    usual = {
        **dict.fromkeys(STORED),
        "import_id": import_id,
        "member": "a.csv",
        "provider": "routit",
        "layout": "mobile",
        "subscriber": "A",
        "other_kind": "none",
        "direction": "out",
        "currency": "EUR",
        "flags": "",
    }
    rows = [
        {
            **usual,
            "customer_id": each.customer_id,
            "call_date": each.call_date,
            "started_at_utc": each.call_date,
            "line_no": number,
            "usage_type": each.usage_type,
            "zone": each.zone,
            "duration_s": each.duration_s,
            "volume_bytes": each.volume_bytes,
            "events": each.events,
            "cost_micros": None if each.price is None else micros(each.price),
            "fingerprint": import_id * 1_000_000 + number,
        }
        for number, each in enumerate(records)
    ]
    with database.transaction() as tx:
        tx.load("call_detail_record", pl.DataFrame(rows, STORED))


@pytest.fixture
def store(database: Database) -> TotalsStore:
    with database.transaction() as tx:
        tx.load("import_queue", IMPORTS)
    return TotalsStore(database)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(str(tmp_path), memory_limit="256MB")


Compute = Callable[..., Totals]


@pytest.fixture
def compute(database: Database, store: TotalsStore, engine: Engine) -> Compute:
    def computed(*customer_ids: int) -> Totals:
        asked = pairs(*customer_ids)
        with database.snapshot() as tx:
            return standard_totals(store.records(tx, asked), asked, engine)

    return computed


def pairs(*customer_ids: int) -> pl.DataFrame:
    rows = [(customer_id, *OCTOBER, "EUR") for customer_id in customer_ids]
    return pl.DataFrame(rows, PAIRS, orient="row")


NOTHING_SEEN = pl.DataFrame(schema=DIRTY)


def write(
    store: TotalsStore, computed: Totals, seen: pl.DataFrame = NOTHING_SEEN
) -> Written:
    return store.write(
        computed.headers,
        computed.lines,
        seen,
        guard=lambda _tx: None,
        chain=lambda _tx, _written: None,
    )


def revisions(store: TotalsStore, customer_id: int) -> list[tuple[int, int]]:
    kept = store.backups(customer_id, OCTOBER[0])
    return kept.select("revision", "total_cost_micros").rows()


def test_totals_of_stored_records_equal_the_model(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    records = [
        call(customer, day, None if day == 7 else f"0.{day:02d}{customer:04d}", zone)
        for customer in (1, 2, 700)
        for day in range(1, 29)
        for zone in (None, "EU")
    ]
    store_records(database, records)

    written = write(store, compute(1, 2, 700, 701))

    expected = totals(records, [CycleAsked(cid, *OCTOBER) for cid in (1, 2, 700, 701)])
    assert written.changed.rows() == [(cid, OCTOBER[0], 1) for cid in (1, 2, 700, 701)]
    for cycle, total in expected.items():
        header = store.header(cycle.customer_id, cycle.start)
        assert header is not None
        assert header.total_cost_micros == micros(total.price)
        assert header.provider_cost_micros == micros(total.price)
        assert (header.cdr_count, header.unrated_count) == (total.count, total.unrated)
        lines = store.lines(cycle.customer_id, cycle.start)
        assert lines.select("line_no", "zone", "cdr_count", "cost_micros").rows() == [
            (number, zone, line.count, micros(line.price))
            for number, ((_, zone), line) in enumerate(sorted(total.lines.items()), start=1)
        ]


def test_records_of_an_import_that_is_not_complete_do_not_count(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00")])
    store_records(database, [call(1, 6, "5.00")], import_id=RUNNING)

    computed = compute(1)

    assert computed.headers.select("cdr_count", "total_cost_micros").rows() == [
        (1, 1_000_000)
    ]


def test_only_records_of_the_asked_cycles_are_read(
    database: Database, store: TotalsStore
) -> None:
    september = datetime(2026, 9, 30, 23, 59, 59)  # noqa: DTZ001 - a wall clock
    store_records(
        database,
        [
            Usage(1, september, "voice"),
            Usage(1, september + timedelta(seconds=1), "voice"),
            Usage(2, september, "voice"),
            Usage(3, september, "voice"),
        ],
    )
    asked = pl.concat(
        [
            pairs(1),
            pl.DataFrame(
                [(2, date(2026, 9, 1), date(2026, 10, 1), "EUR")], PAIRS, orient="row"
            ),
        ]
    )

    with database.snapshot() as tx:
        read = pl.concat(store.records(tx, asked))

    assert read.select("customer_id", "call_date").rows() == [
        (2, september),
        (1, september + timedelta(seconds=1)),
    ]


class LosesARow:
    """A transaction whose copies come one record short."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.rows = tx.rows

    def frames(self, *args: object, **kwargs: object) -> object:
        for frame in self._tx.frames(*args, **kwargs):  # type: ignore[arg-type]  # passes on
            yield frame.head(-1)


def test_a_copy_that_is_short_is_never_used(database: Database, store: TotalsStore) -> None:
    store_records(database, [call(1, 5, "1.00"), call(1, 6, "2.00")])

    with (
        database.snapshot() as tx,
        pytest.raises(StoreError, match="1 of 2 records, 1000000 of 3000000 micros"),
    ):
        list(store.records(LosesARow(tx), pairs(1)))  # type: ignore[arg-type]  # a stand-in


def test_a_customer_whose_records_are_lost_on_the_way_is_read_again(
    database: Database, store: TotalsStore
) -> None:
    store_records(database, [call(1, 5, "1.00"), call(2, 6, "2.00")])

    with database.snapshot() as tx:
        lossy = Spoils(tx, lambda packs: packs.head(-1))
        read = pl.concat(store.records(lossy, pairs(1, 2)))  # type: ignore[arg-type]  # a stand-in

    assert read.select("customer_id", "cost_micros").rows() == [
        (1, 1_000_000),
        (2, 2_000_000),
    ]


class Spoils:
    """A transaction that does something to the packed records it reads."""

    def __init__(
        self, tx: Transaction, change: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> None:
        self._tx = tx
        self._change = change
        self.rows = tx.rows
        self.asked: list[str] = []

    def frames(self, path: str, *args: object, **kwargs: object) -> Iterator[pl.DataFrame]:
        self.asked.append(path)
        for frame in self._tx.frames(path, *args, **kwargs):  # type: ignore[arg-type]  # passes on
            yield self._change(frame) if path == "totals/packed" else frame


USED = [
    "customer_id",
    "usage_type",
    "zone",
    "duration_s",
    "volume_bytes",
    "events",
    "cost_micros",
]

HOSTILE = [
    *(
        "",
        " ",
        ",",
        "x",
        "\n",
        "\r\n",
        '"',
        "'",
        "\\",
        "\\n",
        "\x00",
        "\x1a",
        "NULL",
        "null",
    ),
    *("é", "😀", "\U0010ffff", "\u2028", "\ufeff", "1,2\n3,4", "78", "%s", ":name", "-1"),
]


def test_whatever_a_type_or_a_zone_is_called_totals_read_it_as_it_is(
    database: Database, store: TotalsStore
) -> None:
    moment = datetime(2026, 10, 5, 9)  # noqa: DTZ001 - a wall clock
    store_records(
        database,
        [Usage(1, moment, text, text, duration_s=1) for text in HOSTILE],
    )

    with database.snapshot() as tx:
        spy = Spoils(tx, lambda packs: packs)
        read = pl.concat(store.records(spy, pairs(1)))  # type: ignore[arg-type]  # a stand-in

    assert spy.asked == ["totals/packed"]
    assert read["usage_type"].to_list() == HOSTILE
    assert read["zone"].to_list() == HOSTILE


def test_nothing_and_an_empty_zone_are_not_the_same(
    database: Database, store: TotalsStore
) -> None:
    first = datetime(2026, 10, 1)  # noqa: DTZ001 - a wall clock
    last = datetime(2026, 10, 31, 23, 59, 59)  # noqa: DTZ001 - a wall clock
    store_records(
        database,
        [
            Usage(1, first, "voice", None, None, None, None, None),
            Usage(1, last, "voice", "", 0, 2**63 - 1, -(2**63), Decimal("-0.000001")),
        ],
    )

    with database.snapshot() as tx:
        spy = Spoils(tx, lambda packs: packs)
        read = pl.concat(store.records(spy, pairs(1)))  # type: ignore[arg-type]  # a stand-in

    assert spy.asked == ["totals/packed"]
    assert read.drop("customer_id").rows() == [
        (first, "voice", None, None, None, None, None),
        (last, "voice", "", 0, 9223372036854775807, -9223372036854775808, -1),
    ]


THREE_CALLS = [
    call(1, 5, "1.00", "EU"),
    Usage(1, datetime(2026, 10, 6, 9), "sms", events=12),  # noqa: DTZ001 - a wall clock
    call(2, 5, "2.00"),
]
THREE_READ = [
    (1, "sms", None, None, None, 12, None),
    (1, "voice", "EU", 60, None, None, 1_000_000),
    (2, "voice", None, 60, None, None, 2_000_000),
]


def test_wherever_a_text_is_cut_no_total_changes(
    database: Database, store: TotalsStore
) -> None:
    store_records(database, THREE_CALLS)
    is_first = pl.col("customer_id") == 1
    packed = pl.col("packed")

    for characters in range(1, 70):
        cut = pl.when(is_first).then(packed.str.head(-characters)).otherwise(packed)
        with database.snapshot() as tx:
            spy = Spoils(tx, lambda packs, cut=cut: packs.with_columns(cut))  # type: ignore[misc]  # a default of the loop's
            read = pl.concat(store.records(spy, pairs(1, 2)))  # type: ignore[arg-type]  # a stand-in

        assert spy.asked == ["totals/packed", "totals/records"]
        assert read.sort("customer_id", "usage_type").select(USED).rows() == THREE_READ


def test_a_text_the_server_cuts_changes_no_total(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_database(mariadb_url)) as database, statements_of_tests(monkeypatch):
        with database.transaction() as tx:
            tx.load("import_queue", IMPORTS)
        store_records(database, THREE_CALLS)
        with database.snapshot() as tx:
            tx.execute("test/short_texts")
            spy = Spoils(tx, lambda packs: packs)
            records = TotalsStore(database).records(spy, pairs(1, 2))  # type: ignore[arg-type]  # a stand-in
            read = pl.concat(records)

    assert spy.asked == ["totals/packed", "totals/records"]
    assert read.sort("customer_id", "usage_type").select(USED).rows() == THREE_READ


def test_an_amount_that_came_over_wrong_is_read_again(
    database: Database, store: TotalsStore
) -> None:
    store_records(database, [call(1, 5, "1.00"), call(2, 5, "2.00")])
    other = pl.col("packed").str.replace_all("1000000\n", "1000001\n", literal=True)

    with database.snapshot() as tx:
        spy = Spoils(tx, lambda packs: packs.with_columns(other))
        read = pl.concat(store.records(spy, pairs(1, 2)))  # type: ignore[arg-type]  # a stand-in

    assert spy.asked == ["totals/packed", "totals/records"]
    assert sorted(read["cost_micros"]) == [1_000_000, 2_000_000]


def test_unchanged_totals_get_no_new_revision(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00"), call(2, 5, "1.00")])
    write(store, compute(1, 2))
    before = store.header(1, OCTOBER[0])
    store_records(database, [call(2, 6, "1.00")])

    written = write(store, compute(1, 2))

    assert written.changed.rows() == [(2, OCTOBER[0], 2)]
    assert written.unchanged.rows() == [(1, OCTOBER[0], 1)]
    assert store.header(1, OCTOBER[0]) == before


def test_a_replaced_revision_is_in_the_backup_table_first(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00", "EU"), call(1, 6, "2.00")])
    write(store, compute(1))
    first = store.header(1, OCTOBER[0])
    first_lines = store.lines(1, OCTOBER[0])
    assert revisions(store, 1) == []

    store_records(database, [call(1, 7, "4.00"), call(1, 8, "4.00", "US")])
    write(store, compute(1))

    second = store.header(1, OCTOBER[0])
    assert revisions(store, 1) == [(1, 3_000_000)]
    kept = store.backups(1, OCTOBER[0])["lines"][0]
    assert lines_from_json(1, OCTOBER[0], kept).equals(first_lines)
    assert first is not None
    assert second is not None
    assert (second.id, second.revision, second.total_cost_micros) == (
        first.id,
        2,
        11_000_000,
    )
    assert second.updated_at >= first.updated_at
    assert second.created_at == first.created_at
    assert store.lines(1, OCTOBER[0])["zone"].to_list() == ["", "EU", "US"]


def test_lines_that_vanish_are_gone(
    database: Database, store: TotalsStore, compute: Compute, engine: Engine
) -> None:
    store_records(database, [call(1, 5, "1.00", "EU"), call(1, 6, "2.00")])
    write(store, compute(1))

    write(store, standard_totals([], pairs(1), engine))

    assert store.lines(1, OCTOBER[0]).is_empty()
    header = store.header(1, OCTOBER[0])
    assert header is not None
    assert (header.revision, header.total_cost_micros) == (2, 0)


def test_the_chain_copies_the_revision_just_written_once(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00"), call(2, 5, "2.00")])
    write(store, compute(1, 2, 3))
    missing = store.without_backup()

    assert store.backup(missing) == 3
    assert store.backup(missing) == 0
    assert store.without_backup().is_empty()
    assert revisions(store, 1) == [(1, 1_000_000)]
    assert store.backups(3, OCTOBER[0])["lines"].to_list() == ["[]"]
    assert missing.schema == pl.Schema(CYCLE)


def test_a_backup_is_never_overwritten(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00")])
    write(store, compute(1))
    store.backup(pairs(1))
    before = store.backups(1, OCTOBER[0])

    store_records(database, [call(1, 6, "1.00"), call(1, 7, "1.00")])
    write(store, compute(1))
    store.backup(pairs(1))

    assert revisions(store, 1) == [(1, 1_000_000), (2, 3_000_000)]
    assert store.backups(1, OCTOBER[0]).head(1).equals(before)


def mark(database: Database, store: TotalsStore, *customer_ids: int) -> None:
    with database.transaction() as tx:
        store.mark_dirty(tx, pairs(*customer_ids), "import 1")


def test_a_cycle_waits_until_its_totals_are_written(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    mark(database, store, 1, 2)
    seen = store.dirty()

    told = [(each, *OCTOBER, "EUR", "import 1") for each in (1, 2)]
    assert seen.drop("mark").rows() == told
    write(store, compute(1, 2), seen)

    assert store.dirty().is_empty()


def test_a_cycle_marked_again_meanwhile_still_waits(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    mark(database, store, 1, 2)
    seen = store.dirty()
    mark(database, store, 2)

    write(store, compute(1, 2), seen)

    assert store.dirty()["customer_id"].to_list() == [2]
    assert store.dirty()["mark"][0] == seen["mark"][1] + 1


def test_a_mark_never_comes_back_once_it_is_gone(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    mark(database, store, 1)
    seen_by_a_slow_run = store.dirty()
    write(store, compute(1), store.dirty())
    mark(database, store, 1)

    write(store, compute(1), seen_by_a_slow_run)

    assert store.dirty()["customer_id"].to_list() == [1]


def test_waiting_cycles_can_be_asked_by_customer_and_by_day(
    database: Database, store: TotalsStore
) -> None:
    mark(database, store, 1, 2)

    assert store.dirty(customer_id=2)["customer_id"].to_list() == [2]
    assert store.dirty(day=date(2026, 10, 1)).height == 2
    assert store.dirty(day=date(2026, 10, 31)).height == 2
    assert store.dirty(day=date(2026, 11, 1)).is_empty()
    assert store.dirty(day=date(2026, 9, 30)).is_empty()


def test_what_the_chain_refuses_is_not_written_at_all(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    mark(database, store, 1)
    store_records(database, [call(1, 5, "1.00")])
    write(store, compute(1))
    store_records(database, [call(1, 6, "1.00"), call(1, 7, "1.00")])
    computed = compute(1)
    seen = store.dirty()

    def refuse(*_given: object) -> NoReturn:
        message = "taken over"
        raise FenceLost(message)

    def allow(*_given: object) -> None:
        return None

    for guard, chain in ((refuse, allow), (allow, refuse)):
        with pytest.raises(FenceLost):
            store.write(computed.headers, computed.lines, seen, guard=guard, chain=chain)

    header = store.header(1, OCTOBER[0])
    assert header is not None
    assert (header.revision, header.total_cost_micros) == (1, 1_000_000)
    assert store.lines(1, OCTOBER[0])["cost_micros"].to_list() == [1_000_000]
    assert revisions(store, 1) == []
    assert store.dirty().height == 1


def test_the_chain_sees_what_was_written_in_the_same_transaction(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00")])
    computed = compute(1, 2)
    seen: list[Written] = []

    def chain(tx: Transaction, written: Written) -> None:
        seen.append(written)
        store.backup_in(tx, computed.headers)

    store.write(
        computed.headers,
        computed.lines,
        NOTHING_SEEN,
        guard=lambda _tx: None,
        chain=chain,
    )

    assert seen[0].changed.rows() == [(1, OCTOBER[0], 1), (2, OCTOBER[0], 1)]
    assert revisions(store, 1) == [(1, 1_000_000)]


def test_the_dearest_cycles_come_first(
    database: Database, store: TotalsStore, compute: Compute
) -> None:
    store_records(database, [call(1, 5, "1.00"), call(2, 5, "3.00"), call(3, 5, "2.00")])
    write(store, compute(1, 2, 3))

    assert store.largest(2)["customer_id"].to_list() == [2, 3]


def test_a_thousand_cycles_are_swapped_in_one_go(
    database: Database, store: TotalsStore, engine: Engine
) -> None:
    many = range(1, 1201)
    asked = pairs(*many)
    store_records(
        database, [call(customer, 5, "1.00", zone) for customer in many for zone in "AB"]
    )
    with database.snapshot() as tx:
        first = standard_totals(store.records(tx, asked, batch_rows=700), asked, engine)
    write(store, first)
    store.backup(asked)

    written = write(store, standard_totals([], asked, engine))

    assert first.headers["total_cost_micros"].sum() == 2_400_000_000
    assert written.changed["revision"].unique().to_list() == [2]
    assert store.largest(1)["total_cost_micros"].to_list() == [0]


def test_two_runs_at_once_leave_one_whole_result(
    database: Database, store: TotalsStore, compute: Compute, engine: Engine
) -> None:
    store_records(database, [call(1, 5, "1.00", zone) for zone in "ABC"])
    full = compute(1)
    empty = standard_totals([], pairs(1), engine)
    write(store, full)
    read: list[tuple[int, int]] = []

    def swap(computed: Totals) -> None:
        for _ in range(8):
            write(store, computed)
            now = store.current(1, OCTOBER[0])
            assert now is not None
            read.append((now.header.total_cost_micros, int(now.lines["cost_micros"].sum())))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(swap, [full, empty]))

    assert len(read) == 16
    assert {total - lines for total, lines in read} == {0}
    last = store.header(1, OCTOBER[0])
    assert last is not None
    kept = [revision for revision, _ in revisions(store, 1)]
    assert kept == list(range(1, last.revision))


def test_a_cycle_without_totals_is_not_a_total_of_zero(store: TotalsStore) -> None:
    assert store.current(1, OCTOBER[0]) is None
    assert store.header(1, OCTOBER[0]) is None
