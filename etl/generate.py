"""Generated deliveries: as many RoutIT records as asked for, the same ones every time.

Effects: writes to the stream or folder it is given. Used by ``etl demo``, the benchmarks
and the tests. Nothing here is drawn from a clock or a random generator: every value is
hashed out of the seed and the record's number with whole-number arithmetic, so that one
seed gives one delivery, on every machine, and any part of it can be made on its own.

The records are laid out like RoutIT's own (CRLF, amounts in cents with a decimal comma, 18
columns) and written in blocks, so that ten million need no more memory than a few
thousand. Numbers are from ranges that nobody has: +31 6 00…, +31 85 000…, +49 30 23125….

Units: prices are whole milli-cents (1e-5 euro) inside this module.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo
from zoneinfo import ZoneInfo

import polars as pl

from transforms.cdr import INSTANT

ZONE: Final = "Europe/Amsterdam"
LINES_A_CUSTOMER: Final = 4
CITIES: Final = ("Amsterdam", "Rotterdam", "Utrecht", "Eindhoven", "Groningen")
FIXED_NUMBERS: Final = 10_000
"""How many there are, +31 85 000 0000 to 9999; later customers have no fixed line."""
BLOCK_ROWS: Final = 100_000
MICROS_A_MILLICENT: Final = 10
ROWS_A_STEP: Final = 4
"""Of four records one may be a duplicate, one a reject, one of an unknown number."""
ZIP64_ROWS: Final = 10_000_000
"""From here on a member may pass 2 GiB, which the ZIP writer must know beforehand."""

HEADER: Final = (
    "UniqueId,Klantnummer,ChannelId,Datum,Tijdstip,Afzender,Bestemming,Duur,Platform,"
    "Totaaltarief,Starttarief,Minuuttarief,Verkeersklasse,Richting,Extensie,Roaming,"
    "Bundel,Ordernummer"
)
COLUMNS: Final = tuple(HEADER.split(","))

Member = Literal["Mobile", "Fixed"]


@dataclass(frozen=True)
class Mix:
    """How many of 10,000 records are not simply loaded; at most 2,500 of each kind."""

    duplicates: int = 100
    rejects: int = 20
    unknown: int = 0


@dataclass(frozen=True)
class Demand:
    """What to generate."""

    records: int
    customers: int = 1000
    account: str = "10001"
    period: str = "202610"
    seed: int = 1
    mix: Mix = field(default_factory=Mix)


@dataclass(frozen=True)
class Expected:
    """Where an import of the delivery must put its records."""

    records: int = 0
    loaded: int = 0
    duplicates: int = 0
    rejected: int = 0
    suspended: int = 0
    cost_micros: int = 0
    """Of the loaded records."""

    def __add__(self, other: "Expected") -> "Expected":
        """Add up two parts of a delivery."""
        return Expected(
            self.records + other.records,
            self.loaded + other.loaded,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.suspended + other.suspended,
            self.cost_micros + other.cost_micros,
        )


@dataclass(frozen=True)
class Generated:
    """A delivery on disk, and what must become of it."""

    path: Path
    expected: Expected


def generate_routit(folder: Path, demand: Demand) -> Generated:
    """Write a delivery and the reference data it belongs to.

    Writes ``CDR_<account>_<period>.zip``, ``customers.csv`` and ``subscriptions.csv``.

    Args:
        folder: An existing folder.
        demand: What to generate.
    """
    write_reference(folder, demand.customers)
    path = folder / f"CDR_{demand.account}_{demand.period}.zip"
    with path.open("wb") as stream:
        return Generated(path, write_delivery(stream, demand))


def write_delivery(stream: BinaryIO, demand: Demand) -> Expected:
    """Write a delivery as a ZIP of one mobile and one fixed file, three to one.

    Args:
        stream: Open for writing; need not be seekable.
        demand: What to generate.
    """
    mobile = demand.records * 3 // 4
    parts: dict[Member, int] = {"Mobile": mobile, "Fixed": demand.records - mobile}
    expected = Expected()
    with ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for member, rows in parts.items():
            name = f"CDR_{member}_{demand.account}_{demand.period}.csv"
            info = ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            info.compress_type = ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=rows > ZIP64_ROWS) as file:
                file.write(f"{HEADER}\r\n".encode())
                for block in _blocks(demand, member, rows):
                    expected += _expected(block)
                    file.write(_csv(block.select(COLUMNS)))
    return expected


def write_reference(folder: Path, customers: int) -> None:
    """Write ``customers.csv`` and ``subscriptions.csv`` for the generated numbers.

    Most customers are Dutch with cycle day 1; every 50th is in Dublin (on the clock of
    London, which is the same), pays no Dutch VAT and reads English. Every 10th has cycle
    day 15 and every 100th cycle day 31. All have what their invoices need.
    """
    ids = pl.DataFrame({"customer_id": range(1, customers + 1)})
    customer_id = pl.col("customer_id")
    is_irish = customer_id % 50 == 0
    people = ids.select(
        customer_id,
        pl.format("Customer {} BV", customer_id).alias("name"),
        pl.when(is_irish).then(pl.lit("Europe/London")).alias("timezone"),
        pl.when(customer_id % 100 == 0)
        .then(31)
        .when(customer_id % 10 == 0)
        .then(15)
        .alias("cycle_day"),
        pl.lit("EUR").alias("currency"),
        *_billing(customer_id, is_irish),
    )
    people.write_csv(folder / "customers.csv")
    mobile = pl.DataFrame({"line": range(customers * LINES_A_CUSTOMER)}).select(
        pl.format("+{}", 31_600_000_000 + pl.col("line")).alias("identifier"),
        (pl.col("line") // LINES_A_CUSTOMER + 1).alias("customer_id"),
    )
    fixed = ids.head(FIXED_NUMBERS).select(
        pl.format("+{}", 31_849_999_999 + customer_id).alias("identifier"), customer_id
    )
    pl.concat([mobile, fixed]).select(
        "identifier",
        pl.lit("number").alias("kind"),
        "customer_id",
        pl.lit(None, pl.String).alias("valid_from"),
        pl.lit(None, pl.String).alias("valid_to"),
    ).write_csv(folder / "subscriptions.csv")


def _billing(customer_id: pl.Expr, is_irish: pl.Expr) -> Iterator[pl.Expr]:
    """Say what invoices need; no register has given out these numbers."""
    digits = customer_id.cast(pl.String).str.zfill(9)
    city = pl.lit(pl.Series(CITIES)).gather(customer_id % len(CITIES))
    mail = pl.format("invoices@customer{}.example", customer_id)
    street = pl.format("Voorbeeldweg {}", customer_id)
    nothing = pl.lit(None, pl.String)
    columns: tuple[tuple[str, pl.Expr, pl.Expr], ...] = (
        ("street", street, pl.format("{} Example Street", customer_id)),
        ("postcode", pl.lit("1234 AB"), nothing),
        ("city", city, pl.lit("Dublin")),
        ("country", pl.lit("NL"), pl.lit("IE")),
        ("vat_number", pl.format("NL{}B01", digits), pl.format("IE{}", digits)),
        ("kvk", digits.str.tail(8), nothing),
        ("email", mail, mail),
        ("language", pl.lit("nl"), pl.lit("en")),
        ("vat_category", nothing, pl.lit("AE")),
    )
    for name, dutch, irish in columns:
        yield pl.when(is_irish).then(irish).otherwise(dutch).alias(name)


# --- blocks of records -----------------------------------------------------------------


def _blocks(demand: Demand, member: Member, rows: int) -> Iterator[pl.DataFrame]:
    make = _mobile if member == "Mobile" else _fixed
    for start in range(0, rows, BLOCK_ROWS):
        numbers = pl.int_range(start, min(start + BLOCK_ROWS, rows), eager=True)
        drawn = _drawn(numbers.cast(pl.UInt64).to_frame("row"), demand, member)
        timed = drawn.with_columns(_clock(drawn, demand, rows))
        yield _spoilt(_named(make(timed, demand), demand, member), demand)


def _drawn(numbers: pl.DataFrame, demand: Demand, member: Member) -> pl.DataFrame:
    """Draw what happens to each record: ``h1``..``h3`` are its hashes, 64 bits each.

    A duplicate has the number of the record before it, and so all of its content.
    """
    salt = demand.seed * 2 + (member == "Fixed")
    row = pl.col("row")
    mix = demand.mix
    is_duplicate = _is_chosen(row, 1, mix.duplicates, salt + 1_000_003)
    numbered = numbers.with_columns(
        is_duplicate.alias("is_duplicate"),
        (row - is_duplicate.cast(pl.UInt64)).alias("number"),
    )
    number = pl.col("number")
    hashed = numbered.with_columns(
        _is_chosen(number, 2, mix.rejects, salt + 2_000_003).alias("is_reject"),
        _is_chosen(number, 3, mix.unknown, salt + 3_000_017).alias("is_unknown"),
        _hash(number, salt + 4_000_037).alias("h1"),
        _hash(number, salt + 5_000_011).alias("h2"),
        _hash(number, salt + 6_000_011).alias("h3"),
    )
    return hashed.with_columns(_customer(demand.customers).alias("customer"))


def _is_chosen(number: pl.Expr, place: int, of_10_000: int, salt: int) -> pl.Expr:
    """Choose records among those at one place of each step of four."""
    is_lucky = _hash(number, salt) % 10_000 < of_10_000 * ROWS_A_STEP
    return (number % ROWS_A_STEP == place) & is_lucky


def _hash(number: pl.Expr, salt: int) -> pl.Expr:
    """Mix a number into 64 bits that look random (splitmix64); the products wrap."""
    mixed = number * _u64(0x9E3779B97F4A7C15) + _u64(salt * 0xD1342543DE82EF95)
    mixed = (mixed ^ (mixed // _u64(1 << 30))) * _u64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed // _u64(1 << 27))) * _u64(0x94D049BB133111EB)
    return mixed ^ (mixed // _u64(1 << 31))


def _u64(number: int) -> pl.Expr:
    return pl.lit(number % (1 << 64), pl.UInt64)


def _part(column: str, below: int, skip: int = 1) -> pl.Expr:
    """Take a whole number from 0 to ``below - 1`` out of a hash; ``skip`` picks digits."""
    return (pl.col(column) // _u64(skip) % _u64(below)).cast(pl.Int64)


def _customer(customers: int) -> pl.Expr:
    """Draw a customer: half of the records are anybody's, half are of a few large ones."""
    skewed = pl.lit(customers, pl.Int64)
    for skip in (1, 1 << 16, 1 << 32):
        skewed = skewed * _part("h1", 1 << 16, skip) // (1 << 16)
    return (
        pl.when(_part("h1", 2, 1 << 48) == 0).then(_part("h2", customers)).otherwise(skewed)
    )


def _clock(drawn: pl.DataFrame, demand: Demand, rows: int) -> tuple[pl.Series, pl.Series]:
    """Spread the records over the month in the order they happened, as local texts."""
    first, seconds = _month(demand.period)
    after = drawn["number"].cast(pl.Int64) * seconds // rows
    instants = ((after + first) * 1_000_000).cast(INSTANT)
    local = instants.dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    second = local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60
    times = _times().gather(second + local.dt.second().cast(pl.Int64))
    year, month = demand.period[:4], demand.period[4:]
    days = pl.Series([f"{day:02d}-{month}-{year}" for day in range(32)])
    return (
        days.gather(local.dt.day().cast(pl.Int64)).alias("Datum"),
        times.alias("Tijdstip"),
    )


@cache
def _times() -> pl.Series:
    return pl.Series(
        [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]
    )


def _month(period: str) -> tuple[int, int]:
    """The first instant of a month in Amsterdam, in epoch seconds, and its length."""
    year, month = int(period[:4]), int(period[4:])
    zone = ZoneInfo(ZONE)
    start = datetime(year, month, 1, tzinfo=zone).astimezone(UTC)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone).astimezone(UTC)
    return int(start.timestamp()), int((end - start).total_seconds())


# --- what a record says ----------------------------------------------------------------


def _mobile(drawn: pl.DataFrame, demand: Demand) -> pl.DataFrame:
    """Half of it calls, the rest calls received, messages, data, content, corrections."""
    draw = _part("h3", 1000)
    kinds = (
        (500, "out"),
        (600, "in"),
        (740, "sms"),
        (960, "data"),
        (995, "content"),
        (1000, "credit"),
    )
    line = pl.col("customer") * LINES_A_CUSTOMER + _part("h2", LINES_A_CUSTOMER, 1 << 40)
    any_line = _part("h2", demand.customers * LINES_A_CUSTOMER, 1 << 20)
    seconds = _part("h3", 256, 1 << 16) * _part("h3", 256, 1 << 24) // 16
    kibibytes = _part("h3", 1 << 16, 1 << 16) * _part("h3", 1 << 16, 1 << 32) // (1 << 12)
    kind = pl.col("kind")
    return drawn.with_columns(
        _first_above(draw, kinds).alias("kind"),
        (31_600_000_000 + line).alias("own"),
        (31_609_000_000 + line % 1_000_000).alias("nobody"),
        seconds.alias("seconds"),
        kibibytes.alias("kibibytes"),
    ).with_columns(
        _of_kind(
            kind,
            data=pl.lit("000INTERNET"),
            content=pl.lit("3000"),
            credit=pl.lit(None, pl.String),
            otherwise=pl.when(_part("h2", 3, 1 << 10) == 0)
            .then((31_200_000_000 + _part("h2", 100_000, 1 << 20)).cast(pl.String))
            .otherwise((31_600_000_000 + any_line).cast(pl.String)),
        ).alias("other"),
        _of_kind(
            kind,
            out=pl.col("seconds"),
            data=pl.col("kibibytes"),
            credit=pl.lit(0),
            otherwise=pl.when(kind == "in").then(pl.col("seconds")).otherwise(1),
        ).alias("Duur"),
        _of_kind(
            kind,
            out=pl.col("seconds") * 4050 // 60,
            sms=pl.lit(4000),
            data=pl.col("kibibytes") // 2621,
            content=pl.lit(55_000),
            credit=pl.lit(-12_500),
            otherwise=pl.lit(0),
        ).alias("millicents"),
        _of_kind(kind, content=pl.lit("55,0"), otherwise=pl.lit(",0")).alias("Starttarief"),
        _of_kind(kind, out=pl.lit("4,05"), otherwise=pl.lit(",0")).alias("Minuuttarief"),
        _of_kind(
            kind,
            out=pl.lit("12"),
            sms=pl.lit("20"),
            data=pl.lit("30"),
            content=pl.lit("40"),
            otherwise=pl.lit(None, pl.String),
        ).alias("Verkeersklasse"),
        _of_kind(
            kind,
            sms=pl.lit("sms"),
            data=pl.lit("data"),
            content=pl.lit("premium"),
            credit=pl.lit("correctie"),
            otherwise=pl.lit("voice"),
        ).alias("Extensie"),
        pl.when((kind == "data") & (_part("h3", 20, 1 << 50) == 0))
        .then(pl.lit("BE"))
        .alias("Roaming"),
        _of_kind(
            kind,
            data=pl.lit("DATA EU"),
            credit=pl.lit("CORRECTIE"),
            otherwise=pl.lit(None, pl.String),
        ).alias("Bundel"),
        pl.lit(None, pl.String).alias("ChannelId"),
        pl.lit("Mobiel").alias("Platform"),
    )


def _fixed(drawn: pl.DataFrame, demand: Demand) -> pl.DataFrame:
    """Calls from and to an office, some of them withheld, short, free or premium."""
    kinds = (
        (500, "out"),
        (540, "abroad"),
        (570, "premium"),
        (590, "short"),
        (620, "free"),
        (960, "in"),
        (1000, "withheld"),
    )
    owners = min(demand.customers, FIXED_NUMBERS)
    kind = pl.col("kind")
    seconds = pl.col("seconds")
    return drawn.with_columns(
        _first_above(_part("h3", 1000), kinds).alias("kind"),
        (pl.col("customer") % owners).alias("customer"),
        (_part("h3", 256, 1 << 16) * _part("h3", 256, 1 << 24) // 16).alias("seconds"),
    ).with_columns(
        (31_850_000_000 + pl.col("customer")).alias("own"),
        (31_850_090_000 + pl.col("customer") % FIXED_NUMBERS).alias("nobody"),
        _of_kind(
            kind,
            abroad=pl.format("00493023125{}", 100 + _part("h2", 900, 1 << 20)),
            premium=pl.lit("09000000"),
            short=pl.lit("14020"),
            free=pl.lit("08000000"),
            withheld=pl.lit("anoniem"),
            otherwise=(31_200_000_000 + _part("h2", 100_000, 1 << 20)).cast(pl.String),
        ).alias("other"),
        pl.when(kind == "withheld").then(seconds % 60).otherwise(seconds).alias("Duur"),
        _of_kind(
            kind,
            out=seconds * 2100 // 60,
            abroad=seconds * 2000 // 60,
            premium=9400 + seconds * 9000 // 60,
            short=seconds * 2100 // 60,
            otherwise=pl.lit(0),
        ).alias("millicents"),
        _of_kind(kind, premium=pl.lit("9,4"), otherwise=pl.lit(",0")).alias("Starttarief"),
        _of_kind(
            kind,
            out=pl.lit("2,1"),
            abroad=pl.lit("2,0"),
            premium=pl.lit("9,0"),
            short=pl.lit("2,1"),
            otherwise=pl.lit(",0"),
        ).alias("Minuuttarief"),
        _of_kind(
            kind,
            out=pl.lit("10"),
            abroad=pl.lit("60"),
            premium=pl.lit("50"),
            short=pl.lit("10"),
            free=pl.lit("1"),
            otherwise=pl.lit(None, pl.String),
        ).alias("Verkeersklasse"),
        pl.lit("voice").alias("Extensie"),
        pl.lit(None, pl.String).alias("Roaming"),
        pl.lit(None, pl.String).alias("Bundel"),
        pl.format("SIP-{}", _part("h2", 2, 1 << 50) + 1).alias("ChannelId"),
        pl.lit("Voice").alias("Platform"),
    )


def _first_above(draw: pl.Expr, kinds: tuple[tuple[int, str], ...]) -> pl.Expr:
    """The first kind whose bound is above the number drawn."""
    chosen = pl.lit(kinds[-1][1])
    for bound, kind in reversed(kinds[:-1]):
        chosen = pl.when(draw < bound).then(pl.lit(kind)).otherwise(chosen)
    return chosen


def _of_kind(kind: pl.Expr, *, otherwise: pl.Expr, **values: pl.Expr) -> pl.Expr:
    """The value of each record's kind, and ``otherwise`` for the kinds not named."""
    chosen = otherwise
    for name, value in values.items():
        chosen = pl.when(kind == name).then(value).otherwise(chosen)
    return chosen


def _named(records: pl.DataFrame, demand: Demand, member: Member) -> pl.DataFrame:
    """Write what all records have: id, account, both ends, order number and price."""
    prefix = f"{demand.period[2:]}{demand.account}"
    first_id = 810_000_001 if member == "Mobile" else 910_000_001
    own = pl.when("is_unknown").then("nobody").otherwise("own").cast(pl.String)
    is_in = pl.col("kind").is_in(["in", "withheld"])
    suffix = pl.when(pl.col("kind") == "credit").then(pl.lit("C")).otherwise(pl.lit(""))
    return records.with_columns(
        pl.format(f"{prefix}{{}}", first_id + pl.col("number").cast(pl.Int64)).alias(
            "UniqueId"
        ),
        pl.format(f"K{demand.account}{{}}", suffix).alias("Klantnummer"),
        pl.when(is_in).then("other").otherwise(own).alias("Afzender"),
        pl.when(is_in).then(own).otherwise("other").alias("Bestemming"),
        pl.when(is_in)
        .then(pl.lit("ingaand"))
        .otherwise(pl.lit("uitgaand"))
        .alias("Richting"),
        (700_001 + pl.col("customer")).alias("Ordernummer"),
        _cents(pl.col("millicents")).alias("Totaaltarief"),
    )


def _cents(millicents: pl.Expr) -> pl.Expr:
    """Write a price as RoutIT does: 12500 is ``12,5``, 20 is ``,02``, 0 is ``,0``."""
    size = millicents.abs()
    whole = size // 1000
    digits = (size % 1000).cast(pl.String).str.zfill(3).str.strip_chars_end("0")
    sign = pl.when(millicents < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    before = pl.when(whole == 0).then(pl.lit("")).otherwise(whole.cast(pl.String))
    after = pl.when(digits == "").then(pl.lit("0")).otherwise(digits)
    return pl.concat_str(sign, before, pl.lit(","), after)


def _spoilt(records: pl.DataFrame, demand: Demand) -> pl.DataFrame:
    """Spoil the rejects: a day that does not exist, a price or a usage nobody knows."""
    how = _part("h2", 3, 1 << 33)
    is_reject = pl.col("is_reject")
    year = demand.period[:4]
    return records.with_columns(
        pl.when(is_reject & (how == 0))
        .then(pl.lit(f"31-02-{year}"))
        .otherwise("Datum")
        .alias("Datum"),
        pl.when(is_reject & (how == 1))
        .then(pl.lit("4.05x"))
        .otherwise("Totaaltarief")
        .alias("Totaaltarief"),
        pl.when(is_reject & (how == 2))
        .then(pl.lit("onbekend"))
        .otherwise("Extensie")
        .alias("Extensie"),
    )


def _expected(block: pl.DataFrame) -> Expected:
    loaded = block.filter(
        ~pl.col("is_duplicate") & ~pl.col("is_reject") & ~pl.col("is_unknown")
    )
    return Expected(
        records=block.height,
        loaded=loaded.height,
        duplicates=int(block["is_duplicate"].sum()),
        rejected=int(block["is_reject"].sum()),
        suspended=int(block["is_unknown"].sum()),
        cost_micros=int(loaded["millicents"].sum()) * MICROS_A_MILLICENT,
    )


def _csv(rows: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    rows.write_csv(buffer, include_header=False, line_terminator="\r\n")
    return buffer.getvalue()
