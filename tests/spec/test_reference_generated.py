"""Generated deliveries: laid out like the provider's, the same every time, and counted."""

import csv
import io
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest

from etl.generate import (
    Demand,
    Expected,
    Mix,
    generate_routit,
    write_delivery,
    write_reference,
)
from etl.reference_files import read_reference
from tests.invoice_examples import invoice, usage
from transforms.customer_details import billing_details, details_of
from transforms.invoicing import Terms, invoice_amounts
from transforms.ubl import missing_for_ubl
from transforms.vat import VatRule, rule_of

DEMAND = Demand(4000, customers=40, seed=7, mix=Mix(duplicates=200, rejects=50, unknown=80))
USAGES = {"voice", "sms", "data", "premium", "correctie"}


def delivery(demand: Demand) -> tuple[bytes, Expected]:
    stream = io.BytesIO()
    expected = write_delivery(stream, demand)
    return stream.getvalue(), expected


def rows_of(data: bytes) -> list[dict[str, str]]:
    with ZipFile(io.BytesIO(data)) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist()]
    return [row for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))]


def is_right(row: dict[str, str]) -> bool:
    """Tell, as a clerk would, whether a record can be read."""
    return (
        not row["Datum"].startswith("31-02")
        and "x" not in row["Totaaltarief"]
        and row["Extensie"] in USAGES
    )


def own_number(row: dict[str, str]) -> str:
    return "+" + row["Afzender" if row["Richting"] == "uitgaand" else "Bestemming"]


def euros(row: dict[str, str]) -> Decimal:
    return Decimal(row["Totaaltarief"].replace(",", ".")) / 100


def test_what_is_expected_is_what_a_clerk_counts(tmp_path: Path) -> None:
    generated = generate_routit(tmp_path, DEMAND)

    rows = rows_of(generated.path.read_bytes())
    reference = read_reference(tmp_path)
    assert reference.subscriptions is not None
    known = set(reference.subscriptions["identifier"].to_list())
    right = [row for row in rows if is_right(row)]
    owned = [row for row in right if own_number(row) in known]
    distinct = {row["UniqueId"]: row for row in owned}
    assert generated.expected == Expected(
        records=4000,
        loaded=len(distinct),
        duplicates=len(owned) - len(distinct),
        rejected=len(rows) - len(right),
        suspended=len(right) - len(owned),
        cost_micros=int(sum(map(euros, distinct.values())) * 1_000_000),
    )
    assert generated.expected.duplicates > 40
    assert generated.expected.rejected > 5
    assert generated.expected.suspended > 10


def test_a_repeated_record_repeats_every_cell() -> None:
    rows = rows_of(delivery(DEMAND)[0])

    by_id = Counter(row["UniqueId"] for row in rows)
    whole = Counter(tuple(row.values()) for row in rows)
    assert max(by_id.values()) == 2
    assert sorted(by_id.values()) == sorted(whole.values())


def test_the_layout_is_the_providers_to_the_byte() -> None:
    with ZipFile(io.BytesIO(delivery(DEMAND)[0])) as archive:
        assert archive.namelist() == [
            "CDR_Mobile_10001_202610.csv",
            "CDR_Fixed_10001_202610.csv",
        ]
        text = archive.read("CDR_Mobile_10001_202610.csv").decode()
    lines = text.split("\r\n")
    assert lines[0] == (
        "UniqueId,Klantnummer,ChannelId,Datum,Tijdstip,Afzender,Bestemming,Duur,Platform,"
        "Totaaltarief,Starttarief,Minuuttarief,Verkeersklasse,Richting,Extensie,Roaming,"
        "Bundel,Ordernummer"
    )
    assert lines[-1] == ""
    assert "\n" not in "".join(lines)
    assert '""' not in text
    assert sum(',",0",",0",' in line for line in lines) > 0


def test_one_seed_gives_one_delivery() -> None:
    first, _ = delivery(DEMAND)
    again, _ = delivery(DEMAND)
    other, _ = delivery(Demand(4000, customers=40, seed=8, mix=DEMAND.mix))

    assert first == again
    assert first != other


def test_a_seed_gives_the_same_records_on_every_machine() -> None:
    rows = rows_of(delivery(Demand(1000, customers=50, seed=3))[0])

    text = "\n".join(";".join(row.values()) for row in rows)
    assert sha256(text.encode()).hexdigest()[:16] == "d23a39f4f64fb79a"


@pytest.mark.parametrize(("period", "hours"), [("202610", {"02"}), ("202603", set())])
def test_records_follow_the_clock_through_the_night_it_changes(
    period: str, hours: set[str]
) -> None:
    """October's 02:00 comes twice, so the clock goes back; March's does not come at all."""
    rows = rows_of(delivery(Demand(40_000, customers=10, period=period))[0])
    day = {"202610": "25-10-2026", "202603": "29-03-2026"}[period]
    mobile = [row for row in rows if row["Platform"] == "Mobiel"]
    night = [row["Tijdstip"] for row in mobile if row["Datum"] == day]

    back = [one for one, two in pairwise(night) if two < one]
    assert {time[:2] for time in back} == hours
    assert ("02" in {time[:2] for time in night}) == bool(hours)


def test_half_of_the_records_are_of_a_few_large_customers() -> None:
    rows = rows_of(delivery(Demand(10_000, customers=100))[0])

    count = Counter(row["Ordernummer"] for row in rows)
    largest = sum(number for _, number in count.most_common(10))
    assert len(count) == 100
    assert 3000 < largest < 7000


def test_every_generated_customer_can_be_sent_an_electronic_invoice(tmp_path: Path) -> None:
    write_reference(tmp_path, 60)
    customers = read_reference(tmp_path).customers
    assert customers is not None
    for row in customers.iter_rows(named=True):
        details = details_of(row["details"])
        rule = rule_of(details, VatRule(), row["name"])
        made = invoice(
            invoice_amounts([usage(1_000_000)], [], Terms(rule)),
            customer=billing_details(row["customer_id"], row["name"], details),
        )
        assert missing_for_ubl(made) == []
        assert (rule.category, details.get("language")) == (
            ("AE", "en") if row["customer_id"] == 50 else ("S", "nl")
        )


def test_a_mix_without_faults_is_loaded_whole() -> None:
    _, expected = delivery(Demand(1001, mix=Mix(0, 0, 0)))

    assert (expected.records, expected.loaded) == (1001, 1001)
