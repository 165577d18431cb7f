"""Totals of a cycle: what is in, what is out, and what it adds up to."""

from collections.abc import Iterable
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

import duckdb
import polars as pl
import pytest

from transforms.cdr import INSTANT
from transforms.errors import ContractError, MoneyError
from transforms.provider_invoice import CHARGED, provider_invoice
from transforms.totals import (
    LINES,
    PAIRS,
    USAGE,
    Engine,
    cycle_pairs,
    lines_from_json,
    lines_json,
    standard_totals,
)

OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(str(tmp_path), memory_limit="256MB")


def pairs(*customer_ids: int) -> pl.DataFrame:
    rows = [(customer_id, *OCTOBER, "EUR") for customer_id in customer_ids]
    return pl.DataFrame(rows, PAIRS, orient="row")


def usage(*rows: dict[str, object]) -> pl.DataFrame:
    usual = {
        **dict.fromkeys(USAGE),
        "customer_id": 1,
        "call_date": datetime(2026, 10, 5, 9),  # noqa: DTZ001 - a wall clock
        "usage_type": "voice",
    }
    return pl.DataFrame([{**usual, **row} for row in rows], USAGE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_calls_add_up_by_usage_type_and_zone(engine: Engine) -> None:
    totals = standard_totals(
        [
            usage(
                {"duration_s": 60, "cost_micros": 40_500},
                {"duration_s": 61, "cost_micros": 40_500, "zone": "EU"},
                {"usage_type": "data", "volume_bytes": 536_870_912, "cost_micros": 200},
                {"duration_s": 5, "cost_micros": 1},
            )
        ],
        pairs(1),
        engine,
    )

    assert totals.lines.rows() == [
        (1, OCTOBER[0], 1, "data", "", 1, 0, 0, 536_870_912, 0, 200),
        (1, OCTOBER[0], 2, "voice", "", 2, 0, 65, 0, 0, 40_501),
        (1, OCTOBER[0], 3, "voice", "EU", 1, 0, 61, 0, 0, 40_500),
    ]
    header = totals.headers.row(0, named=True)
    assert header["total_cost_micros"] == header["provider_cost_micros"] == 81_201
    assert (header["cdr_count"], header["unrated_count"]) == (4, 0)
    assert (header["method"], header["rate_plan"]) == ("standard", None)


def test_an_unrated_record_is_counted_and_never_priced(engine: Engine) -> None:
    totals = standard_totals(
        [usage({"cost_micros": 40_500}, {"cost_micros": None})], pairs(1), engine
    )

    assert totals.lines.select("cdr_count", "unrated_count", "cost_micros").rows() == [
        (2, 1, 40_500)
    ]


# The cycle is half-open: its first midnight is in, the next one's is not.
@pytest.mark.parametrize(
    ("call_date", "is_in"),
    [
        ("2026-09-30 23:59:59", False),
        ("2026-10-01 00:00:00", True),
        ("2026-10-31 23:59:59", True),
        ("2026-11-01 00:00:00", False),
    ],
)
def test_a_cycle_begins_at_its_first_midnight_and_ends_before_its_last(
    engine: Engine,
    call_date: str,
    is_in: bool,  # noqa: FBT001 - the case's outcome
) -> None:
    totals = standard_totals(
        [usage({"call_date": at(call_date), "cost_micros": 7})], pairs(1), engine
    )

    assert totals.headers["cdr_count"].to_list() == [int(is_in)]


def test_a_cycle_without_records_has_a_header_of_zeros(engine: Engine) -> None:
    totals = standard_totals([], pairs(1), engine)

    amounts = totals.headers.select(
        "total_cost_micros", "provider_cost_micros", "cdr_count", "unrated_count"
    )
    assert amounts.rows() == [(0, 0, 0, 0)]
    assert totals.lines.is_empty()
    assert totals.lines.schema == pl.Schema(LINES)


# 'a' and 'A', 'x' and 'x ', 'ss' and 'ß' are six zones, as in the database.
def test_zones_that_look_alike_stay_apart(engine: Engine) -> None:
    zones = ["a", "A", "x", "x ", "ss", "ß", None, ""]
    rows: list[dict[str, object]] = [{"zone": zone, "cost_micros": 1} for zone in zones]
    totals = standard_totals([usage(*rows)], pairs(1), engine)

    assert totals.lines.select("zone", "cdr_count").rows() == [
        ("", 2),
        ("A", 1),
        ("a", 1),
        ("ss", 1),
        ("x", 1),
        ("x ", 1),
        ("ß", 1),
    ]


def many(count: int) -> pl.DataFrame:
    numbers = pl.DataFrame({"n": range(count)})
    n = pl.col("n")
    second = pl.duration(seconds=n * 37 % 2_500_000)
    start = pl.lit(OCTOBER[0]).cast(INSTANT)
    return numbers.select(
        (n * 7919 % 50 + 1).alias("customer_id"),
        (start + second).alias("call_date"),
        pl.format("type{}", n % 5).alias("usage_type"),
        pl.when(n % 3 == 0).then(pl.lit("NL")).alias("zone"),
        (n % 3600).alias("duration_s"),
        (n * 1000).alias("volume_bytes"),
        pl.lit(None, pl.Int64).alias("events"),
        pl.when(n % 10 != 0).then(n * 13 - 5000).alias("cost_micros"),
    )


def cut(frame: pl.DataFrame, rows: int) -> Iterable[pl.DataFrame]:
    return frame.iter_slices(rows)


def test_threads_order_and_frames_change_no_byte(engine: Engine) -> None:
    frame = many(20_000)
    asked = pairs(*range(1, 51))
    once = standard_totals([frame], asked, engine)

    for threads, rows in ((1, 999), (2, 20_000), (8, 3000)):
        other = Engine(engine.temp_directory, "256MB", threads)
        again = standard_totals(cut(frame.reverse(), rows), asked.reverse(), other)
        assert again.headers.equals(once.headers)
        assert again.lines.equals(once.lines)


def test_the_hash_of_a_total_is_the_same_on_every_machine_and_version(
    engine: Engine,
) -> None:
    totals = standard_totals(
        [usage({"cost_micros": 40_500, "zone": "EU"}, {"usage_type": "sms", "events": 1})],
        pairs(1),
        engine,
    )

    canonical = (
        "1:1,10:2026-10-01,10:2026-11-01,8:standard,-,-,3:EUR,5:40500,5:40500,1:2,1:1\n"
        "1:1,3:sms,0:,1:1,1:1,1:0,1:0,1:1,1:0\n"
        "1:2,5:voice,2:EU,1:1,1:0,1:0,1:0,1:0,5:40500"
    )
    assert totals.headers["content_sha256"].to_list() == [
        sha256(canonical.encode()).hexdigest()
    ]


def test_the_hash_of_a_total_changes_with_any_figure_of_a_line(engine: Engine) -> None:
    def hashed(**change: object) -> str:
        rows = usage({"duration_s": 60, "cost_micros": 5, "zone": "EU"} | change, {})
        return str(standard_totals([rows], pairs(1), engine).headers["content_sha256"][0])

    same = hashed()
    assert hashed() == same
    changes: list[dict[str, object]] = [
        {"duration_s": 61},
        {"volume_bytes": 1},
        {"events": 1},
        {"cost_micros": 6},
        {"cost_micros": None},
        {"zone": "EU "},
        {"usage_type": "sms"},
    ]
    assert same not in {hashed(**change) for change in changes}


def test_a_total_beyond_its_limit_names_customer_and_cycle(engine: Engine) -> None:
    dear = usage({"cost_micros": 6 * 10**17}, {"cost_micros": 6 * 10**17})

    with pytest.raises(MoneyError, match="customer 1, cycle 2026-10-01"):
        standard_totals([dear], pairs(1, 2), engine)


def test_a_sum_that_does_not_fit_is_an_error_not_another_sum(engine: Engine) -> None:
    endless = usage({"volume_bytes": 2**62}, {"volume_bytes": 2**62})

    with pytest.raises(MoneyError, match="does not fit in 64 bits"):
        standard_totals([endless, endless], pairs(1), engine)


def test_asking_for_a_cycle_twice_is_refused(engine: Engine) -> None:
    with pytest.raises(ContractError, match="one cycle twice"):
        standard_totals([], pairs(1, 1), engine)


def test_the_cycle_of_a_day_follows_each_customers_cycle_day() -> None:
    people = pl.DataFrame(
        {"customer_id": [1, 2, 3], "cycle_day": [1, 15, 31], "currency": ["EUR"] * 3}
    )

    assert cycle_pairs(people, date(2025, 2, 28)).rows() == [
        (1, date(2025, 2, 1), date(2025, 3, 1), "EUR"),
        (2, date(2025, 2, 15), date(2025, 3, 15), "EUR"),
        (3, date(2025, 2, 28), date(2025, 3, 31), "EUR"),
    ]


def test_lines_survive_the_backup_to_the_letter() -> None:
    rows = [
        (1, OCTOBER[0], 1, "data", 'zone "€\\\n\x00', 1, 0, 0, 2**62, 0, -5),
        (1, OCTOBER[0], 2, "voice", "", 9, 1, 65, 0, 0, 40_501),
    ]
    lines = pl.DataFrame(rows, LINES, orient="row")

    text = lines_json(lines)["lines"][0]

    assert lines_from_json(1, OCTOBER[0], text).equals(lines)


# DuckDB sees the frames it is given and nothing else of this machine.
@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
    ],
)
def test_the_engine_is_locked(engine: Engine, question: str) -> None:
    with engine.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(question)


def test_what_one_piece_of_work_makes_the_next_does_not_see(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.register("pairs", pairs(1))
        connection.execute("CREATE TEMPORARY TABLE usage (cost_micros hugeint)")
    for table in ("pairs", "usage"):
        with (
            engine.connect() as connection,
            pytest.raises(duckdb.CatalogException, match=table),
        ):
            connection.table(table)


def test_an_engine_that_was_closed_opens_anew(engine: Engine) -> None:
    once = standard_totals([], pairs(1), engine)
    engine.close()
    engine.close()
    assert standard_totals([], pairs(1), engine).headers.equals(once.headers)


def charged(*rows: tuple[int, str | None, str, str, int | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), CHARGED, orient="row")


def test_a_provider_charges_by_customer_contract_and_usage(engine: Engine) -> None:
    frames = [
        charged(
            (2, "700201", "voice", "EUR", 454_000),
            (1, "700101", "voice", "EUR", 125_000),
            (1, None, "data", "EUR", None),
        ),
        charged((1, "700101", "voice", "EUR", 40_500)),
    ]

    invoice = provider_invoice(frames, engine)

    assert invoice.lines.rows() == [
        (1, 1, "", "data", 1, 1, 0),
        (2, 1, "700101", "voice", 2, 0, 165_500),
        (3, 2, "700201", "voice", 1, 0, 454_000),
    ]
    assert (invoice.currency, invoice.record_count, invoice.unrated_count) == ("EUR", 4, 1)
    assert invoice.cost_micros == 619_500


def test_an_import_without_records_is_an_invoice_of_nothing(engine: Engine) -> None:
    invoice = provider_invoice([], engine)

    assert (invoice.currency, invoice.record_count, invoice.cost_micros) == ("EUR", 0, 0)
    assert invoice.lines.is_empty()


def test_one_import_is_never_charged_in_two_currencies(engine: Engine) -> None:
    mixed = charged((1, None, "voice", "EUR", 1), (1, None, "voice", "USD", 1))

    with pytest.raises(ContractError, match="EUR, USD"):
        provider_invoice([mixed], engine)
