"""Totals under a rate plan beside standard totals, of the same records in the same run.

All customers get one plan: 10,000 prefixes to 200 destinations, each with a price for peak
and one for off-peak, and three allowances that the lines of a customer share. Both sides
read, compute, store and back up; one rates each record, the other adds up its cost.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.imports import driver_connection
from benchmarks.measuring import Contest, Ratio, Sample, Side, timed
from benchmarks.totals import FORGET, KEEP_CYCLES, WAIT_AGAIN
from benchmarks.world import CYCLE, World, run_etl
from etl.app import App
from etl.chains import DispatchTotals
from etl.handlers import bus_of
from etl.settings import load_settings

STANDARD: Final = "etl totals:dispatch, standard"
RATED: Final = "etl totals:dispatch, rate plan"

COUNTRIES: Final = ("31", "32", "33", "34", "39", "41", "43", "44", "45", "49")
PLACES: Final = 1000
"""Prefixes of each country."""
ZONES_A_COUNTRY: Final = 20

PLAN: Final = """
schema = "cdr-rate-plan/1"
id = "bench"
name = "Bench"
decks = ["deck.csv"]

[rounding]
mode = "half-up"
decimals = 4

[windows]
peak = ["mon-fri 08:00-18:00"]
off_peak = ["mon-fri 00:00-08:00", "mon-fri 18:00-24:00", "sat,sun 00:00-24:00"]

[[entry]]
name = "Calls"
usage = "voice"
prices = "prices.csv"
per = "min"
connect_fee = "0.05"

[[entry]]
name = "Short numbers"
usage = "voice"
price = "0.10"
per = "min"
increment = "60/60"

[[entry]]
name = "Incoming"
usage = "voice"
direction = "in"
price = "0"
per = "min"

[[entry]]
name = "Messages"
usage = "sms"
price = "0.06"

[[entry]]
name = "Data"
usage = "data"
price = "0.01"
per = "MB"
increment = "100 kB/100 kB"

[[entry]]
name = "Services"
usage = "content"
at_cost = true
markup = "5"

[[entry]]
name = "Corrections"
usage = "adjustment"
at_cost = true

[[allowance]]
name = "minutes"
usage = "voice"
entries = ["Calls"]
size = "60 min"

[[allowance]]
name = "messages"
usage = "sms"
size = "20"

[[allowance]]
name = "data"
usage = "data"
size = "1 GB"
block = "100 kB"
"""

TAKE_PLANS: Final = "DELETE FROM customer_rate_plan"
GIVE_PLANS: Final = (
    "INSERT INTO customer_rate_plan (customer_id, rate_plan)"
    " SELECT customer_id, 'bench' FROM customer"
)
FORGET_MORE: Final = ("DELETE FROM total_allowance", "DELETE FROM total_revision")


@contextmanager
def rating_contest(world: World) -> Iterator[Contest]:
    """Fill a database once, load the plan, and total it with and without it."""
    with world.mariadb() as url:
        world.import_delivery(url)
        folder = world.folder / "plans"
        _write_plan(folder / "rate_plans")
        run_etl("reference:load", str(folder), database_url=url, storage=world.storage())
        with closing(driver_connection(url)) as connection:
            _run(connection, KEEP_CYCLES)
        standard, rated = (
            partial(_dispatch, world, url, TAKE_PLANS),
            partial(_dispatch, world, url, GIVE_PLANS),
        )
        yield Contest(
            "rating",
            f"Totals under a rate plan of {world.rows:,} records of"
            f" {world.customers:,} customers",
            [
                Side(STANDARD, standard),
                Side(RATED, rated),
                Side("etl totals:new, rate plan", partial(_one, world, url)),
            ],
            [Ratio("rated_to_standard_totals", RATED, (STANDARD,), 0.5)],
            [
                f"{len(COUNTRIES) * PLACES:,} prefixes, two windows, three shared"
                " allowances. Wanted: at most twice the time of standard totals, and one"
                " customer's cycle in a second of work after start-up.",
            ],
        )


def _write_plan(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.toml").write_text(PLAN, encoding="utf-8")
    places = [(country, place) for country in COUNTRIES for place in range(PLACES)]
    deck = [
        f"{country}{place:03d},{country} {place % ZONES_A_COUNTRY}"
        for country, place in places
    ]
    prices = [
        f"{country} {zone},0.0{zone + 10},0.0{zone + 1:02d}"
        for country in COUNTRIES
        for zone in range(ZONES_A_COUNTRY)
    ]
    for name, head, rows in (
        ("deck.csv", "prefix,destination", deck),
        ("prices.csv", "destination,price.peak,price.off_peak", prices),
    ):
        (folder / name).write_text("\n".join([head, *rows, ""]), encoding="utf-8")


def _dispatch(world: World, url: str, plans: str) -> Sample:
    _prepare(url, plans)
    with _app(world, url) as app:
        app.database.check()
        bus = bus_of(app)
        seconds = timed(lambda: bus.run(DispatchTotals(None), app.stop))
    _require_all(world, url, is_rated=plans == GIVE_PLANS)
    return Sample(seconds, world.rows)


def _one(world: World, url: str) -> Sample:
    """One customer's cycle, as a process of its own."""
    _prepare(url, GIVE_PLANS)
    ended = run_etl(
        *("totals:new", "--customer=7", f"--cycle={CYCLE}"),
        database_url=url,
        storage=world.storage(),
    )
    return Sample(ended.seconds, 1, ended.peak_mb)


def _app(world: World, url: str) -> App:
    return App(load_settings(database_url=url, storage=str(world.storage())))


def _prepare(url: str, plans: str) -> None:
    with closing(driver_connection(url)) as connection:
        _run(connection, *FORGET, *FORGET_MORE, WAIT_AGAIN, TAKE_PLANS, plans)


def _require_all(world: World, url: str, *, is_rated: bool) -> None:
    """See that every record is totalled, and under the plan each has a price."""
    with closing(driver_connection(url)) as connection, closing(connection.cursor()) as c:
        c.execute(
            "SELECT sum(cdr_count), sum(provider_cost_micros), sum(unrated_count),"
            " sum(method = 'rateplan'), count(*) FROM total_usage_new_table"
        )
        found: list[Any] = c.fetchall()
    count, cost_micros, unrated, rated, cycles = (int(each) for each in found[0])
    expected = world.delivery.expected
    wrong = (count, cost_micros) != (expected.loaded, expected.cost_micros)
    if wrong or rated != (cycles if is_rated else 0) or (is_rated and unrated):
        message = (
            f"totals of {cost_micros} micros over {count} records, {unrated} without a"
            f" price, {rated} of {cycles} cycles rated: expected {expected}"
        )
        raise RuntimeError(message)


def _run(connection: Any, *statements: str) -> None:  # noqa: ANN401 - the driver's own
    with closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.commit()
