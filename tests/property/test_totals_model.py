"""DuckDB's totals and plain Python's are the same, whatever the records."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import MICRO, CycleAsked, Usage, micros, totals
from transforms.totals import PAIRS, USAGE, Engine, standard_totals

FIRST = datetime(2026, 9, 28)  # noqa: DTZ001 - a wall clock
CYCLES = [
    CycleAsked(customer_id, start, end)
    for customer_id in (1, 2, 3)
    for start, end in (
        (date(2026, 9, 1), date(2026, 10, 1)),
        (date(2026, 10, 1), date(2026, 11, 1)),
    )
]

prices = st.none() | st.integers(-(10**12), 10**12).map(lambda whole: whole * MICRO)
amounts = st.none() | st.integers(0, 2**40)
usages = st.builds(
    Usage,
    customer_id=st.integers(1, 4),
    call_date=st.integers(0, 7 * 86_400).map(lambda s: FIRST + timedelta(seconds=s)),
    usage_type=st.sampled_from(["voice", "sms", "data", "content"]),
    zone=st.none() | st.sampled_from(["", "EU", "eu", "EU ", "Zone é"]),
    duration_s=amounts,
    volume_bytes=amounts,
    events=amounts,
    price=prices,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(str(tmp_path_factory.mktemp("duckdb")), memory_limit="256MB", threads=2)


@settings(max_examples=60, deadline=None)
@given(records=st.lists(usages, max_size=60), rows=st.integers(1, 60))
def test_totals_equal_the_model_to_the_micro(
    engine: Engine, records: list[Usage], rows: int
) -> None:
    computed = standard_totals(_frame(records).iter_slices(rows), _pairs(), engine)

    expected = totals(records, CYCLES)
    headers = computed.headers.select(
        "customer_id",
        "cycle_start_date",
        "total_cost_micros",
        "provider_cost_micros",
        "cdr_count",
        "unrated_count",
    ).rows()
    assert headers == [
        (
            cycle.customer_id,
            cycle.start,
            micros(expected[cycle].price),
            micros(expected[cycle].price),
            expected[cycle].count,
            expected[cycle].unrated,
        )
        for cycle in CYCLES
    ]
    assert computed.lines.rows() == [
        (
            cycle.customer_id,
            cycle.start,
            line_no,
            usage_type,
            zone,
            line.count,
            line.unrated,
            line.duration_s,
            line.volume_bytes,
            line.events,
            micros(line.price),
        )
        for cycle in CYCLES
        for line_no, ((usage_type, zone), line) in enumerate(
            sorted(expected[cycle].lines.items(), key=lambda item: item[0]), start=1
        )
    ]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), records=st.lists(usages, max_size=60))
def test_the_order_of_records_changes_nothing(
    engine: Engine, data: st.DataObject, records: list[Usage]
) -> None:
    shuffled = data.draw(st.permutations(records))

    once = standard_totals([_frame(records)], _pairs(), engine)
    again = standard_totals([_frame(shuffled)], _pairs(), engine)

    assert again.headers.equals(once.headers)
    assert again.lines.equals(once.lines)


def _frame(records: list[Usage]) -> pl.DataFrame:
    rows = [
        (
            usage.customer_id,
            usage.call_date,
            usage.usage_type,
            usage.zone,
            usage.duration_s,
            usage.volume_bytes,
            usage.events,
            None if usage.price is None else micros(usage.price),
        )
        for usage in records
    ]
    return pl.DataFrame(rows, USAGE, orient="row")


def _pairs() -> pl.DataFrame:
    rows = [(cycle.customer_id, cycle.start, cycle.end, "EUR") for cycle in CYCLES]
    return pl.DataFrame(rows, PAIRS, orient="row")


def test_the_model_itself_adds_up_a_bill_by_hand() -> None:
    cycle = CYCLES[1]
    call = datetime(2026, 10, 5, 9)  # noqa: DTZ001 - a wall clock
    records = [
        Usage(1, call, "voice", duration_s=60, price=Decimal("0.0405")),
        Usage(1, call, "voice", duration_s=61, price=Decimal("0.0405")),
        Usage(1, call, "data", "EU", volume_bytes=1000),
        Usage(2, call, "voice", duration_s=60, price=Decimal(1)),
    ]

    total = totals(records, [cycle])[cycle]

    assert total.price == Decimal("0.0810")
    assert (total.count, total.unrated) == (3, 1)
    assert total.lines["voice", ""].duration_s == 121
