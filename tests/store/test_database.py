"""Both databases keep the promises of one interface."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loaders.database import Database, Transaction
from loaders.open import open_database
from tests.store.statements import statements_of_tests
from transforms.cdr import Schema
from transforms.errors import ContractError, StoreBusy, StoreError

NAMES: Schema = {"customer_id": pl.Int64(), "name": pl.String()}


@pytest.fixture(autouse=True)
def _statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with statements_of_tests(monkeypatch):
        yield


def add(tx: Transaction, customer_id: int, name: str = "Bakker") -> None:
    tx.execute("test/add", customer_id=customer_id, name=name, details="{}")


def names(database: Database) -> list[tuple[int, str]]:
    with database.snapshot() as tx:
        return [(row["customer_id"], row["name"]) for row in tx.rows("test/names")]


def customers(**columns: object) -> pl.DataFrame:
    """Three ready rows of table customer; ``columns`` replace some of them."""
    ready = {
        "customer_id": pl.Series([1, 2, 3], dtype=pl.Int64),
        "name": pl.Series(["Bakker", "Visser", "Smit"], dtype=pl.String),
        "timezone": pl.Series(["Europe/Amsterdam"] * 3, dtype=pl.String),
        "cycle_day": pl.Series([1, 1, 15], dtype=pl.Int64),
        "currency": pl.Series(["EUR"] * 3, dtype=pl.String),
        "details": pl.Series(["{}"] * 3, dtype=pl.String),
    }
    return pl.DataFrame({**ready, **columns})


# --- transactions ---------------------------------------------------------------------


def test_what_a_transaction_wrote_is_there_after_it(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 1)
    assert names(database) == [(1, "Bakker")]


def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    def work(tx: Transaction) -> None:
        add(tx, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert names(database) == []


def test_a_snapshot_sees_one_state_while_others_write(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 1)
    with database.snapshot() as seen:
        before = seen.rows("test/names")
        with database.transaction() as tx:
            add(tx, 2)
        assert seen.rows("test/names") == before
    assert names(database) == [(1, "Bakker"), (2, "Bakker")]


def test_a_snapshot_starts_at_its_beginning_not_at_its_first_question(
    database: Database,
) -> None:
    with database.snapshot() as seen:
        with database.transaction() as tx:
            add(tx, 1)
        assert seen.rows("test/names") == []


def test_a_snapshot_does_not_write(database: Database) -> None:
    with pytest.raises(StoreError), database.snapshot() as tx:
        add(tx, 1)
    assert names(database) == []


def test_a_refused_statement_leaves_the_rest_of_the_transaction(
    database: Database,
) -> None:
    with database.transaction() as tx:
        add(tx, 1)
        with pytest.raises(StoreError):
            add(tx, 1)
        add(tx, 2)
    assert [number for number, _ in names(database)] == [1, 2]


def test_who_waited_for_another_sees_all_that_the_other_wrote(
    database: Database,
) -> None:
    with database.transaction() as tx:
        add(tx, 1, "before")
        add(tx, 2, "before")
    found: list[str] = []

    def wait_and_look() -> None:
        with database.transaction() as tx:
            tx.rows("test/names")  # an early look must not pin the old state
            tx.execute("test/rename", customer_id=1, name="mine")
            found.extend(row["name"] for row in tx.rows("test/names"))

    thread = threading.Thread(target=wait_and_look)
    with database.transaction() as tx:
        tx.execute("test/rename", customer_id=1, name="theirs")
        tx.execute("test/rename", customer_id=2, name="theirs")
        thread.start()
        thread.join(0.3)
    thread.join(30)
    assert found == ["mine", "theirs"]


# --- work that meets another transaction ----------------------------------------------


def test_busy_work_is_run_again_from_its_beginning(database: Database) -> None:
    tries: list[int] = []

    def work(tx: Transaction) -> str:
        tries.append(len(tries))
        add(tx, len(tries))
        if len(tries) < 3:
            message = "deadlock"
            raise StoreBusy(message)
        return "done"

    assert database.run(work) == "done"
    assert names(database) == [(3, "Bakker")]


def test_work_that_stays_busy_gives_up_after_its_attempts(database: Database) -> None:
    tries: list[int] = []

    def work(_tx: Transaction) -> None:
        tries.append(1)
        message = "deadlock"
        raise StoreBusy(message)

    with pytest.raises(StoreBusy):
        database.run(work, attempts=2)
    assert len(tries) == 2


def test_two_transactions_in_each_others_way_both_finish(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 1)
        add(tx, 2)
    together = threading.Barrier(2, timeout=1)

    def renames(order: list[int]) -> None:
        def work(tx: Transaction) -> None:
            for customer_id in order:
                tx.execute("test/rename", customer_id=customer_id, name=f"by {order}")
                try:
                    together.wait()
                except threading.BrokenBarrierError:
                    continue

        database.run(work)

    threads = [threading.Thread(target=renames, args=[order]) for order in ([1, 2], [2, 1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({name for _, name in names(database)}) == 1


# --- statements -----------------------------------------------------------------------


def test_an_update_counts_the_rows_it_found_even_when_nothing_changed(
    database: Database,
) -> None:
    with database.transaction() as tx:
        add(tx, 1, "Bakker")
        assert tx.execute("test/rename", customer_id=1, name="Bakker") == 1
        assert tx.execute("test/rename", customer_id=2, name="Bakker") == 0


def test_an_insert_gives_the_id_of_its_row(database: Database) -> None:
    with database.transaction() as tx:
        first = tx.insert("test/subscribe", identifier="a")
        assert tx.insert("test/subscribe", identifier="b") == first + 1


def test_one_statement_runs_for_many_rows(database: Database) -> None:
    rows = [
        {"customer_id": number, "name": f"n{number}", "details": "{}"}
        for number in range(2500)
    ]
    with database.transaction() as tx:
        assert tx.execute_many("test/add", rows) == 2500
        renamed = [{"customer_id": number, "name": "x"} for number in (1, 2, 9999)]
        assert tx.execute_many("test/rename", renamed) == 2
        assert tx.execute_many("test/rename", []) == 0
    assert len(names(database)) == 2500


def test_a_list_stands_for_as_many_values_as_it_has(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(5):
            add(tx, number)

        def found(ids: object) -> list[int]:
            rows = tx.rows("test/some", ids=ids, not_this="x")
            return [row["customer_id"] for row in rows]

        assert found([1, 3, 9]) == [1, 3]
        assert found((4,)) == [4]
        assert found([]) == []
        frame = tx.frame("test/some", NAMES, ids=[0, 2], not_this="x")
    assert frame["customer_id"].to_list() == [0, 2]


def test_dates_and_times_are_bound_as_each_database_keeps_them(
    database: Database,
) -> None:
    with database.transaction() as tx:
        tx.execute(
            "test/add_dirty",
            customer_id=1,
            start=date(2026, 10, 1),
            end=date(2026, 11, 1),
            reason="late",
        )
        assert len(tx.rows("test/of_day", day=date(2026, 10, 1))) == 1
        assert tx.rows("test/of_day", day=date(2026, 10, 2)) == []


def test_a_time_with_a_zone_is_refused(database: Database) -> None:
    with (
        pytest.raises(ContractError, match="time zone"),
        database.transaction() as tx,
    ):
        tx.rows("test/of_day", day=datetime(2026, 10, 1, tzinfo=UTC))


def test_percent_signs_need_no_care(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 1, "100%s")
        row = tx.row("test/share", name="100%s")
        frame = tx.frame(
            "test/share",
            {"customer_id": pl.Int64(), "share": pl.String()},
            name="100%s",
        )
    assert row is not None
    assert row["share"] == "50%"
    assert frame.rows() == [(1, "50%")]


def test_an_unknown_path_is_our_own_mistake(database: Database) -> None:
    with pytest.raises(ContractError, match="no/such"), database.transaction() as tx:
        tx.execute("no/such")


def test_a_statement_without_one_of_its_parameters_is_our_own_mistake(
    database: Database,
) -> None:
    with pytest.raises(ContractError, match="test/rename is asked without name"):
        database.run(lambda tx: tx.execute("test/rename", customer_id=1))
    with pytest.raises(ContractError, match="test/some is asked without ids"):
        database.run(lambda tx: tx.frame("test/some", NAMES, not_this="x"))


def test_a_refusal_names_the_statement_but_no_value(database: Database) -> None:
    def add_twice(tx: Transaction) -> None:
        add(tx, 31612345678)
        add(tx, 31612345678, "Secretary")

    with pytest.raises(StoreError) as caught:
        database.run(add_twice)
    assert "test/add" in str(caught.value)
    assert "31612345678" not in str(caught.value)
    assert "Secretary" not in str(caught.value)
    with pytest.raises(StoreError, match="test/nonsense"), database.transaction() as tx:
        tx.rows("test/nonsense")


# --- frames out -----------------------------------------------------------------------


def test_a_frame_has_the_columns_and_types_of_its_schema(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(
            "test/add_dirty",
            customer_id=2**62,
            start=date(2026, 10, 1),
            end=date(2026, 11, 1),
            reason="late",
        )
    schema: Schema = {
        "cycle_start_date": pl.Date(),
        "customer_id": pl.Int64(),
        "marked_at": pl.Datetime("us"),
    }
    with database.snapshot() as tx:
        frame = tx.frame("test/days", schema)
    assert dict(frame.schema) == schema
    assert frame.row(0)[:2] == (date(2026, 10, 1), 2**62)


def test_an_empty_answer_is_an_empty_frame_of_the_schema(database: Database) -> None:
    with database.snapshot() as tx:
        frame = tx.frame("test/names", NAMES)
    assert_frame_equal(frame, pl.DataFrame(schema=NAMES))


def test_a_long_answer_comes_in_frames_and_in_order(database: Database) -> None:
    rows = [
        {"customer_id": number, "name": f"n{number}", "details": "{}"}
        for number in range(25)
    ]
    with database.transaction() as tx:
        tx.execute_many("test/add", rows)
    with database.snapshot() as tx:
        frames = list(tx.frames("test/names", NAMES, batch_rows=10))
        assert [frame.height for frame in frames] == [10, 10, 5]
        assert pl.concat(frames)["customer_id"].to_list() == list(range(25))


def test_an_answer_half_read_and_closed_leaves_the_transaction_usable(
    database: Database,
) -> None:
    rows = [{"customer_id": n, "name": "n", "details": "{}"} for n in range(25)]
    with database.transaction() as tx:
        tx.execute_many("test/add", rows)
        frames = tx.frames("test/names", NAMES, batch_rows=10)
        with closing(frames):  # type: ignore[type-var]  # a generator, which closes
            assert next(frames).height == 10
        assert len(tx.rows("test/names")) == 25


def test_an_answer_with_other_columns_is_our_own_mistake(database: Database) -> None:
    schema: Schema = {"customer_id": pl.Int64(), "surname": pl.String()}
    with pytest.raises(ContractError, match="surname"), database.snapshot() as tx:
        tx.frame("test/names", schema)


def test_a_value_of_another_type_is_our_own_mistake(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 1, "Bakker")
    schema: Schema = {"customer_id": pl.Int64(), "name": pl.Int64()}
    with pytest.raises(ContractError, match="name") as caught, database.snapshot() as tx:
        tx.frame("test/names", schema)
    assert "Bakker" not in str(caught.value)


# --- frames in ------------------------------------------------------------------------


def test_loaded_rows_read_back_as_they_were(database: Database) -> None:
    with database.transaction() as tx:
        assert tx.load("customer", customers(), batch_rows=2) == 3
    assert names(database) == [(1, "Bakker"), (2, "Visser"), (3, "Smit")]


def test_nothing_loaded_is_nothing_done(database: Database) -> None:
    with database.transaction() as tx:
        assert tx.load("customer", customers().clear()) == 0
    assert names(database) == []


def test_times_dates_and_nulls_read_back_as_they_were(database: Database) -> None:
    records = pl.DataFrame(
        {
            "customer_id": [1, 1, 2],
            "call_date": [
                datetime.fromisoformat("1999-12-31 23:59:59"),
                datetime.fromisoformat("2026-10-25 02:30:00"),
                datetime.fromisoformat("2038-01-19 03:14:08"),
            ],
            "cost_micros": [-1, None, 10**18 - 1],
            "zone": ["", None, "NULL"],
        },
        schema={
            "customer_id": pl.Int64(),
            "call_date": pl.Datetime("us"),
            "cost_micros": pl.Int64(),
            "zone": pl.String(),
        },
    )
    whole = records.with_columns(
        started_at_utc=pl.col("call_date"),
        import_id=pl.lit(1, pl.Int64),
        line_no=pl.lit(1, pl.Int64),
        fingerprint=pl.lit(1, pl.Int64),
        **{
            name: pl.lit("x")
            for name in (
                "member",
                "provider",
                "layout",
                "subscriber",
                "other_kind",
                "direction",
                "usage_type",
                "currency",
                "flags",
            )
        },
    )
    with database.transaction() as tx:
        tx.load("call_detail_record", whole)
        assert_frame_equal(tx.frame("test/records", dict(records.schema)), records)


UNFIT = {
    "a text too long": {"currency": ["EUR", "EURO", "EUR"]},
    "a text too long in letters, not bytes": {"currency": ["EUR", "éééé", "EUR"]},
    "a null where a value is needed": {"name": ["Bakker", None, "Smit"]},
    "the same key twice": {"customer_id": [1, 2, 2]},
    "a number beyond 64 bits": {"cycle_day": pl.Series([1, 2**63, 1], dtype=pl.UInt64)},
    "a fraction": {"cycle_day": [1.0, 1.5, 2.0]},
    "a text for a number": {"cycle_day": ["1", "1e3", "10.7"]},
    "a truth value": {"cycle_day": [True, False, True]},
    "an unknown column": {"surname": ["a", "b", "c"]},
}


@pytest.mark.parametrize("columns", UNFIT.values(), ids=UNFIT.keys())
def test_rows_that_do_not_fit_are_refused_and_none_of_them_is_kept(
    database: Database, columns: dict[str, object]
) -> None:
    def work(tx: Transaction) -> None:
        add(tx, 99)
        tx.load("customer", customers(**columns), batch_rows=2)

    with pytest.raises((StoreError, ContractError)) as caught:
        database.run(work)
    assert "EURO" not in str(caught.value)
    assert names(database) == []


def test_a_null_that_was_sent_never_becomes_the_default_of_its_column(
    database: Database,
) -> None:
    made = (
        "CREATE TEMPORARY TABLE noted (line_no BIGINT NOT NULL,"
        " needed BIGINT NOT NULL DEFAULT 7, free BIGINT NULL DEFAULT 7)"
    )
    free = pl.DataFrame(
        {"line_no": [1, 2], "free": pl.Series([None, None], dtype=pl.Int64)}
    )
    with database.transaction() as tx:
        tx._connection.exec_driver_sql(made)
        tx.load("noted", free)
        stored = tx._connection.exec_driver_sql("SELECT needed, free FROM noted")
        assert [tuple(row) for row in stored] == [(7, None), (7, None)]

    def work(tx: Transaction) -> None:
        tx._connection.exec_driver_sql(made.replace("noted", "refused"))
        tx.load("refused", free.rename({"free": "needed"}))

    with pytest.raises(StoreError):
        database.run(work)


def test_a_key_that_is_there_already_is_refused(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, 2, "earlier")
    with pytest.raises(StoreError), database.transaction() as tx:
        tx.load("customer", customers())
    assert names(database) == [(2, "earlier")]


def test_an_amount_of_a_million_millions_is_refused(database: Database) -> None:
    row = pl.DataFrame(
        {
            "customer_id": [1],
            "cycle_start_date": [date(2026, 10, 1)],
            "cycle_end_date": [date(2026, 11, 1)],
            "revision": [1],
            "method": ["standard"],
            "currency": ["EUR"],
            "total_cost_micros": [10**18],
            "provider_cost_micros": [0],
            "cdr_count": [0],
            "unrated_count": [0],
            "content_sha256": ["x"],
        }
    )
    with pytest.raises(StoreError), database.transaction() as tx:
        tx.load("total_usage_new_table", row)


def test_a_load_that_failed_cannot_be_committed_past(database: Database) -> None:
    def ignore_the_fault(tx: Transaction) -> None:
        add(tx, 50)
        with pytest.raises(StoreError):
            tx.load("customer", customers(customer_id=[1, 2, 2]))

    with pytest.raises(StoreError, match="must be run again"):
        database.run(ignore_the_fault)
    assert names(database) == []
    with database.transaction() as tx:
        assert tx.load("customer", customers()) == 3


HOSTILE_NAMES = [
    "customer`",
    "customer; --",
    'cust"omer',
    "c" * 65,
    "Customer",
    "ｃustomer",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_is_not_plain_is_refused(database: Database, name: str) -> None:
    with pytest.raises(ContractError), database.transaction() as tx:
        tx.load(name, customers())
    renamed = customers().rename({"name": name})
    with pytest.raises(ContractError), database.transaction() as tx:
        tx.load("customer", renamed)


# --- opening --------------------------------------------------------------------------


def test_a_good_database_has_nothing_to_complain_about(database: Database) -> None:
    assert database.check() == []


def test_two_openings_of_one_database_see_the_same(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with closing(open_database(database_url, temp_dir=tmp_path / "work")) as other:
        with other.transaction() as tx:
            tx.load("customer", customers())
        assert names(database) == names(other) != []


def test_many_threads_load_at_once(database: Database) -> None:
    faults: list[BaseException] = []

    def load(first: int) -> None:
        try:
            ids = [first, first + 1, first + 2]
            database.run(lambda tx: tx.load("customer", customers(customer_id=ids)))
        except BaseException as exc:  # noqa: BLE001 - the test tells of it below
            faults.append(exc)

    threads = [threading.Thread(target=load, args=[n * 10]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert len(names(database)) == 24
